// Light, dark, or what the system says.

export type Theme = 'system' | 'light' | 'dark';
const kKey = 'strata.theme';
const system = matchMedia('(prefers-color-scheme: dark)');

class ThemeChoice {
  choice = $state<Theme>('system');
  dark = $state(false);

  constructor() {
    const saved = localStorage.getItem(kKey);
    if (saved === 'light' || saved === 'dark') this.choice = saved;
    system.addEventListener('change', () => this.apply());
    this.apply();
  }

  choose(theme: Theme): void {
    this.choice = theme;
    localStorage.setItem(kKey, theme);
    this.apply();
  }

  next(): void {
    this.choose(this.dark ? 'light' : 'dark');
  }

  private apply(): void {
    this.dark = this.choice === 'system' ? system.matches : this.choice === 'dark';
    document.documentElement.dataset.theme = this.dark ? 'dark' : 'light';
  }
}

export const theme = new ThemeChoice();
