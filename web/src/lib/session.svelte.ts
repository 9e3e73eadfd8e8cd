// Who is signed in. The token comes from the link that `strata login-link` prints (#token=...) or
// from the sign-in page; it is kept in this browser only and sent as a bearer token. There are no
// cookies, so no other site can act for the user.

import type { Me } from '../generated/api';

const kKey = 'strata.token';

function stored(): string {
  return sessionStorage.getItem(kKey) ?? localStorage.getItem(kKey) ?? '';
}

function from_fragment(): string {
  const match = /^#token=([^&]+)/.exec(location.hash);
  if (!match) return '';
  history.replaceState(null, '', location.pathname + location.search);
  return decodeURIComponent(match[1]!);
}

class Session {
  token = $state('');
  refusal = $state('');
  me = $state.raw<Me>(); // in the project that is shown, once the server has said so

  constructor() {
    const given = from_fragment();
    if (given) this.sign_in(given, false);
    else this.token = stored();
    // A link that is opened where this page already stands loads nothing anew.
    addEventListener('hashchange', () => {
      const later = from_fragment();
      if (later) this.sign_in(later, false);
    });
  }

  // Whether the server allows what needs `permission`; nothing until it has said who this is.
  may(permission: string): boolean {
    return this.me?.permissions.includes(permission) ?? false;
  }

  sign_in(token: string, keep: boolean): void {
    sessionStorage.setItem(kKey, token);
    if (keep) localStorage.setItem(kKey, token);
    this.token = token;
    this.refusal = '';
  }

  // `refusal` says why, when the server no longer takes the token.
  sign_out(refusal = ''): void {
    sessionStorage.removeItem(kKey);
    localStorage.removeItem(kKey);
    this.token = '';
    this.me = undefined;
    this.refusal = refusal;
  }
}

export const session = new Session();
