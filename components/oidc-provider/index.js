// An OpenID provider with three people: what a sign-in meets in production is a real one too.
// Nothing of it is kept but its keys and its clients: who was signed in is not after a restart.

import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';

import Provider from 'oidc-provider';

import { page } from './page.js';
import { Store } from './store.js';

const { ADMIN_PASSWORD, APP_SECRET, CLIENT_SECRET, DATA_FOLDER, PORT } = process.env;
const ISSUER = `http://127.0.0.1:${PORT}`;
const KEYS = join(DATA_FOLDER, 'keys.json');
const BODY_MAX = 10_000;

// All have the password of the run.
const PEOPLE = {
  ada: { name: 'Ada Admin', groups: ['helios-admins', 'staff'] },
  olga: { name: 'Olga Operator', groups: ['acme-ops', 'staff'] },
  nina: { name: 'Nina Nobody', groups: ['staff'] },
};

const KINDS = [
  ['RS256', 'rsa', { modulusLength: 2048 }],
  ['ES256', 'ec', { namedCurve: 'P-256' }],
  ['EdDSA', 'ed25519', {}],
];

function write(file, value) {
  writeFileSync(`${file}.new`, JSON.stringify(value), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

function newKeys() {
  const made = KINDS.map(([, kind, options]) => ({
    ...generateKeyPairSync(kind, options).privateKey.export({ format: 'jwk' }),
    kid: randomUUID(),
    use: 'sig',
  }));
  write(KEYS, made);
  return made;
}

const store = new Store(join(DATA_FOLDER, 'clients.json'));

function provider(keys) {
  return new Provider(ISSUER, {
    adapter: store.adapter,
    clients: [
      {
        client_id: 'helios',
        client_secret: CLIENT_SECRET,
        redirect_uris: ['http://127.0.0.1:8420/api/v1/auth/oidc/callback'],
        post_logout_redirect_uris: ['http://127.0.0.1:8420/sign-in'],
      },
    ],
    jwks: { keys },
    cookies: { keys: [APP_SECRET] },
    scopes: ['openid', 'profile', 'groups'],
    claims: { openid: ['sub'], profile: ['name', 'preferred_username'], groups: ['groups'] },
    pkce: { required: () => true },
    enabledJWA: { idTokenSigningAlgValues: ['RS256', 'PS256', 'ES256', 'EdDSA'] },
    features: {
      devInteractions: { enabled: false },
      registration: { enabled: true, initialAccessToken: ADMIN_PASSWORD },
      rpInitiatedLogout: { enabled: true },
    },
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    ttl: { AccessToken: 600, Grant: 600, IdToken: 600, Interaction: 600, Session: 3600 },
    findAccount: (_, id) =>
      PEOPLE[id] && {
        accountId: id,
        claims: () => ({ sub: id, preferred_username: id, ...PEOPLE[id] }),
      },
    // Whoever signs in lets the client know what it asks for.
    loadExistingGrant: async (ctx) => {
      const { client, params, session } = ctx.oidc;
      const grant = new ctx.oidc.provider.Grant({
        accountId: session.accountId,
        clientId: client.clientId,
      });
      grant.addOIDCScope(params.scope);
      await grant.save();
      return grant;
    },
  });
}

let current = provider(existsSync(KEYS) ? JSON.parse(readFileSync(KEYS)) : newKeys());

function answer(response, status, type, body) {
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(body);
}

async function form(request) {
  let text = '';
  for await (const part of request) {
    text += part;
    if (text.length > BODY_MAX) throw new Error('the form is too large');
  }
  return new URLSearchParams(text);
}

async function interaction(request, response) {
  const details = await current.interactionDetails(request, response);
  if (request.method === 'GET') {
    answer(response, 200, 'text/html; charset=utf-8', page(details.uid, ''));
    return;
  }
  const given = await form(request);
  if (given.has('back')) {
    const refused = { error: 'access_denied', error_description: 'turned back' };
    await current.interactionFinished(request, response, refused);
  } else if (Object.hasOwn(PEOPLE, given.get('name')) && given.get('password') === ADMIN_PASSWORD) {
    const login = { accountId: given.get('name') };
    await current.interactionFinished(request, response, { login });
  } else {
    const text = 'No such name and password.';
    answer(response, 401, 'text/html; charset=utf-8', page(details.uid, text));
  }
}

async function handle(request, response) {
  const path = request.url.split('?')[0];
  if (path === '/health') {
    answer(response, 200, 'text/plain', 'ok');
  } else if (path === '/rotate' && request.method === 'POST') {
    if (request.headers.authorization !== `Bearer ${ADMIN_PASSWORD}`) {
      answer(response, 401, 'text/plain', 'the password of the run is the token');
      return;
    }
    current = provider(newKeys());
    answer(response, 200, 'text/plain', 'new keys');
  } else if (path.startsWith('/interaction/')) {
    await interaction(request, response);
  } else {
    current.callback()(request, response);
  }
}

// Whoever started us holds the other end: when it is gone, so are we.
if (process.env.UNTIL_STDIN_CLOSES) {
  process.stdin.resume().on('end', () => process.exit(0));
}

createServer((request, response) => {
  handle(request, response).catch((error) => {
    console.error(error);
    if (!response.headersSent) answer(response, 400, 'text/plain', String(error.message));
  });
}).listen(Number(PORT), '127.0.0.1');
