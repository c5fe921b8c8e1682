// What the provider remembers: clients in a file, all else for as long as it runs.

import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';

export class Store {
  constructor(file) {
    this.file = file;
    this.values = new Map(existsSync(file) ? JSON.parse(readFileSync(file)) : []);
    this.adapter = (model) => new Adapter(this, model);
  }

  save() {
    const clients = [...this.values].filter(([key]) => key.startsWith('Client:'));
    writeFileSync(`${this.file}.new`, JSON.stringify(clients), { mode: 0o600 });
    renameSync(`${this.file}.new`, this.file);
  }
}

class Adapter {
  constructor(store, model) {
    this.store = store;
    this.model = model;
  }

  async upsert(id, payload, expiresIn) {
    const until = expiresIn ? Date.now() + expiresIn * 1000 : Infinity;
    this.store.values.set(`${this.model}:${id}`, { payload, until });
    if (this.model === 'Client') this.store.save();
  }

  async find(id) {
    const found = this.store.values.get(`${this.model}:${id}`);
    // A time without end comes back from the file as null.
    return found && (found.until ?? Infinity) > Date.now() ? found.payload : undefined;
  }

  async findByUid(uid) {
    return this.only((payload) => payload.uid === uid);
  }

  async findByUserCode(code) {
    return this.only((payload) => payload.userCode === code);
  }

  only(fits) {
    const prefix = `${this.model}:`;
    for (const [key, { payload, until }] of this.store.values) {
      if (key.startsWith(prefix) && (until ?? Infinity) > Date.now() && fits(payload)) {
        return payload;
      }
    }
    return undefined;
  }

  async consume(id) {
    const found = await this.find(id);
    if (found) found.consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    this.store.values.delete(`${this.model}:${id}`);
    if (this.model === 'Client') this.store.save();
  }

  async revokeByGrantId(grant) {
    for (const [key, { payload }] of this.store.values) {
      if (payload.grantId === grant) this.store.values.delete(key);
    }
  }
}
