/** What tests of sessions need of a browser: it keeps one cookie. */
export class Browser {
  cookie: string;

  constructor(cookie = '') {
    this.cookie = cookie;
  }

  get(url: string): Promise<unknown> {
    return this.#request(url, 'GET');
  }

  post(url: string): Promise<unknown> {
    return this.#request(url, 'POST');
  }

  /** Rejects when the answer isn't a success. */
  async #request(url: string, method: string): Promise<unknown> {
    const headers = this.cookie === '' ? {} : { cookie: this.cookie };
    const response = await fetch(url, { method, headers });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${text}`);
    for (const cookie of response.headers.getSetCookie()) this.cookie = cookie.split(';')[0]!;
    return response.headers.get('content-type')?.includes('json') ? JSON.parse(text) : text;
  }
}
