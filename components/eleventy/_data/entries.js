'use strict';

// The content of the site: a JSON feed from HELIOS_CONTENT_URL (with HELIOS_CONTENT_TOKEN as bearer
// token, if set), or the file HELIOS_CONTENT_FILE. The feed is a list of entries, or an object with
// the list in `entries`, `items` or `data` and, when there is more, `next_cursor`.
// With HELIOS_CONTENT_CACHE (a folder) a feed that has not changed is not read again: it keeps
// the last answer and its ETag.

const { createHash } = require('crypto');
const fs = require('fs');
const path = require('path');

const TIMEOUT_MS = 30_000;
const PAGES_MAX = 1_000;

function listOf(feed) {
  const list = Array.isArray(feed) ? feed : (feed.entries ?? feed.items ?? feed.data);
  if (!Array.isArray(list)) throw new Error('the content feed holds no list of entries');
  return list;
}

function cacheFile(url) {
  const folder = process.env.HELIOS_CONTENT_CACHE;
  return folder && path.join(folder, `${createHash('sha256').update(url).digest('hex')}.json`);
}

async function read(url) {
  const file = cacheFile(url);
  const kept = file && fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, 'utf8')) : null;
  const headers = { accept: 'application/json' };
  if (process.env.HELIOS_CONTENT_TOKEN) {
    headers.authorization = `Bearer ${process.env.HELIOS_CONTENT_TOKEN}`;
  }
  if (kept) headers['if-none-match'] = kept.etag;
  const answer = await fetch(url, { headers, signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (answer.status === 304 && kept) return kept.feed;
  if (!answer.ok) throw new Error(`the content feed answered HTTP ${answer.status}`);
  const feed = await answer.json();
  const etag = answer.headers.get('etag');
  if (file && etag) {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, JSON.stringify({ etag, feed }));
  }
  return feed;
}

async function readAll(start) {
  const entries = [];
  const url = new URL(start);
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const feed = await read(url.href);
    entries.push(...listOf(feed));
    if (!feed.next_cursor) return entries;
    url.searchParams.set('cursor', feed.next_cursor);
  }
  throw new Error(`the content feed has more than ${PAGES_MAX} pages`);
}

// An entry of the content cache has its text in `raw`, where the provider put it.
// Two entries never write the same page: the later one carries its id.
function forPages(entries) {
  const taken = new Set();
  return entries.map((entry) => {
    const slug = String(entry.slug || entry.id);
    const own = taken.has(slug) ? `${slug}-${entry.id}` : slug;
    taken.add(own);
    const body = entry.body ?? entry.raw?.body ?? '';
    return { ...entry, slug: own, title: entry.title || own, body };
  });
}

module.exports = async () => {
  const { HELIOS_CONTENT_FILE: file, HELIOS_CONTENT_URL: url } = process.env;
  if (!url && !file) throw new Error('set HELIOS_CONTENT_URL or HELIOS_CONTENT_FILE');
  const entries = url ? await readAll(url) : listOf(JSON.parse(fs.readFileSync(file, 'utf8')));
  return forPages(entries);
};
