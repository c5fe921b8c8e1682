'use strict';

const path = require('path');

module.exports = ({ env }) => ({
  connection: {
    client: 'sqlite',
    connection: { filename: path.join(env('DATA_FOLDER'), 'strapi.db') },
    useNullAsDefault: true,
  },
});
