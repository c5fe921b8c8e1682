'use strict';

const path = require('path');
const { bootstrap, dummyPaymentHandler, JobQueueService, LanguageCode } = require('@vendure/core');
const { EventsByWebhook } = require('./events-by-webhook');
const { StockOfOrders } = require('./stock-of-orders');

const { ADMIN_PASSWORD, APP_SECRET, DATA_FOLDER, PORT, WEBHOOK_SECRET, WEBHOOK_URL } = process.env;

const config = {
  apiOptions: {
    hostname: '127.0.0.1',
    port: Number(PORT),
    adminApiPath: 'admin-api',
    shopApiPath: 'shop-api',
    cors: false,
  },
  authOptions: {
    tokenMethod: ['bearer'],
    superadminCredentials: { identifier: 'superadmin', password: ADMIN_PASSWORD },
    cookieOptions: { secret: APP_SECRET },
  },
  dbConnectionOptions: {
    type: 'better-sqlite3',
    database: path.join(DATA_FOLDER, 'vendure.db'),
    synchronize: true,
    logging: false,
  },
  defaultLanguageCode: LanguageCode.en,
  paymentOptions: { paymentMethodHandlers: [dummyPaymentHandler] },
  plugins: [EventsByWebhook.init({ url: WEBHOOK_URL, secret: WEBHOOK_SECRET }), StockOfOrders],
};

// Whoever started us holds the other end: when it is gone, so is the shop.
if (process.env.UNTIL_STDIN_CLOSES) {
  process.stdin.resume().on('end', () => process.exit(0));
}

bootstrap(config)
  .then((app) => app.get(JobQueueService).start())
  .catch((error) => {
    console.error(error);
    process.exit(1);
  });
