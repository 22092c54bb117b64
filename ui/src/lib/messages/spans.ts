/** How long something takes, in English. */
const UNITS = {
  s: (n: number) => `${n} s`,
  min: (n: number) => `${n} min`,
  h: (n: number) => `${n} h`,
  d: (n: number) => (n === 1 ? '1 day' : `${n} days`),
};

export interface Span {
  count: number;
  unit: keyof typeof UNITS;
}

export const long = (span: Span): string => UNITS[span.unit](span.count);
