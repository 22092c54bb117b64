/** Light, dark, or as the system has it; kept on this machine. */

export const THEMES = ['system', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

const KEY = 'imprest.theme';

function kept(): Theme {
  try {
    const theme = localStorage.getItem(KEY);
    return THEMES.find((known) => known === theme) ?? 'system';
  } catch {
    return 'system';
  }
}

class Appearance {
  theme = $state<Theme>(kept());

  constructor() {
    this.#show();
  }

  set(theme: Theme): void {
    this.theme = theme;
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // A webview without storage still shows the choice until it closes.
    }
    this.#show();
  }

  #show(): void {
    if (this.theme === 'system') document.documentElement.removeAttribute('data-theme');
    else document.documentElement.dataset['theme'] = this.theme;
  }
}

export const appearance = new Appearance();
