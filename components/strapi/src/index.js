'use strict';

const fs = require('fs');
const path = require('path');

const ARTICLE = 'api::article.article';
const EMAIL = 'admin@example.test';
const EDIT = ['create', 'read', 'update', 'delete', 'publish'];
const WEBHOOKS = ['create', 'read', 'update', 'delete'];

const permission = (action, subject = null) => ({
  action,
  subject,
  properties: {},
  conditions: [],
});

async function createAdmin(strapi) {
  const users = strapi.service('admin::user');
  if (await users.exists()) return users.findOneByEmail(EMAIL, ['roles']);
  const role = await strapi.service('admin::role').getSuperAdmin();
  await users.create({
    firstname: 'Test',
    lastname: 'Admin',
    email: EMAIL,
    password: process.env.ADMIN_PASSWORD,
    isActive: true,
    registrationToken: null,
    roles: [role.id],
  });
  return users.findOneByEmail(EMAIL, ['roles']);
}

function createAdminToken(strapi, admin, name, adminPermissions) {
  const attributes = {
    kind: 'admin',
    name,
    description: '',
    lifespan: null,
    adminPermissions,
    adminUserOwner: admin.id,
  };
  return strapi.service('admin::api-token-admin').create(attributes, admin);
}

// Strapi shows a token once, so the first start writes them where the caller looks.
async function createTokens(strapi, file) {
  if (fs.existsSync(file)) return;
  const admin = await createAdmin(strapi);
  const content = await strapi.service('admin::api-token').create({
    kind: 'content-api',
    type: 'full-access',
    name: 'content',
    description: '',
    lifespan: null,
  });
  const webhooks = await createAdminToken(
    strapi,
    admin,
    'webhooks',
    WEBHOOKS.map((verb) => permission(`admin::webhooks.${verb}`)),
  );
  const editor = await createAdminToken(
    strapi,
    admin,
    'editor',
    EDIT.map((verb) => permission(`plugin::content-manager.explorer.${verb}`, ARTICLE)),
  );
  const tokens = {
    admin_email: EMAIL,
    content_token: content.accessKey,
    webhook_token: webhooks.accessKey,
    editor_token: editor.accessKey,
  };
  fs.writeFileSync(`${file}.new`, JSON.stringify(tokens), { mode: 0o600 });
  fs.renameSync(`${file}.new`, file);
}

module.exports = {
  register() {
    // Whoever started us holds the other end: when it is gone, so is the server.
    if (process.env.UNTIL_STDIN_CLOSES) {
      process.stdin.resume().on('end', () => process.exit(0));
    }
  },

  bootstrap({ strapi }) {
    return createTokens(strapi, path.join(process.env.DATA_FOLDER, 'tokens.json'));
  },
};
