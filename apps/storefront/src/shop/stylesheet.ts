/** The shop's one stylesheet, inline in every page: no second request, nothing from elsewhere. */
import { createHash } from 'node:crypto';

export const stylesheet = `
:root{color-scheme:light dark;--ink:#23201c;--soft:#6b645a;--paper:#fbf9f5;--card:#fff;--line:#e4ded3;--accent:#9a3b1f;--on:#fff}
@media(prefers-color-scheme:dark){:root{--ink:#ece7de;--soft:#a49b8d;--paper:#191714;--card:#23201c;--line:#3a352e;--accent:#f0a184;--on:#23201c}}
*{box-sizing:border-box}
body{margin:0;font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper)}
a{color:inherit;text-underline-offset:3px}
header,main,footer{max-width:62rem;margin:auto;padding:1rem}
header{display:flex;flex-wrap:wrap;gap:.5rem 1.5rem;align-items:baseline;border-bottom:1px solid var(--line)}
header .shop{font:600 1.4rem Georgia,serif;text-decoration:none;margin-right:auto}
h1{font:600 1.8rem/1.2 Georgia,serif;margin:.5rem 0}h2{font-size:1.1rem;margin:2rem 0 .5rem}
.soft,footer{color:var(--soft);font-size:.875rem}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(11rem,1fr));gap:1rem;list-style:none;padding:0}
.grid a,.panel{display:block;height:100%;background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:1rem;text-decoration:none}
.grid a:hover{border-color:var(--accent)}
.grid b{display:block;font-weight:600}
.price{font-size:1.6rem;font-weight:600;font-variant-numeric:tabular-nums}
.product{display:grid;grid-template-columns:repeat(auto-fit,minmax(17rem,1fr));gap:1.5rem}
.picture{aspect-ratio:4/3;border-radius:.6rem;display:grid;place-items:center;font:600 4rem Georgia,serif;color:var(--accent);background:linear-gradient(135deg,var(--line),var(--card))}
button,select,input{font:inherit;padding:.5rem .8rem;border-radius:.4rem;border:1px solid var(--line);background:var(--card);color:inherit}
button{background:var(--accent);border-color:var(--accent);color:var(--on);font-weight:600;cursor:pointer}
button.plain{background:none;border-color:var(--line);color:inherit;font-weight:400}
form{display:flex;flex-wrap:wrap;gap:.5rem;align-items:end;margin:1rem 0}label{display:grid;font-size:.875rem}
table{width:100%;border-collapse:collapse}th,td{text-align:left;padding:.5rem;border-bottom:1px solid var(--line)}
td.number,th.number{text-align:right;font-variant-numeric:tabular-nums}td form{margin:0;justify-content:end}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
`;

const styleHash = createHash('sha256').update(stylesheet).digest('base64');

/** Nothing may load or run except this stylesheet. The sale's own page, on another local port, may frame it. */
export const contentSecurityPolicy = [
  "default-src 'none'",
  `style-src 'sha256-${styleHash}'`,
  'img-src data:',
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'self' http://127.0.0.1:* http://localhost:*",
].join('; ');
