'use strict';

module.exports = () => ({
  dir: { input: '.', output: process.env.HELIOS_SITE_OUTPUT || '_site' },
  templateFormats: ['njk'],
});
