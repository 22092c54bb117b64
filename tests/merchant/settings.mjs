// What the seller, the chain and the buyer share: strict settings, and ending with the parent.

/** Reads one setting from the environment and refuses to go on without a well-formed one. */
export function setting(name, shape) {
  const value = process.env[name];
  if (value === undefined || !shape.test(value)) {
    console.error(`The setting ${name} is missing or malformed.`);
    console.error(`Set ${name} to something that matches ${shape}.`);
    process.exit(2);
  }
  return value;
}

/** Ends the process when standard input closes, after `before` has run. */
export function closeWithStdin(before) {
  process.stdin.resume();
  process.stdin.on("close", () => {
    before();
    process.exit(0);
  });
}
