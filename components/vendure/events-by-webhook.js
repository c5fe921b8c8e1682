'use strict';

// Vendure has an event bus and no webhooks: this plugin posts what the bus says, signed, in the
// order in which it was said. A delivery that fails is tried again twice and then given up, as
// most senders do: what was lost can be read from the shop's API.

const { createHmac, randomUUID } = require('crypto');
const {
  EventBus,
  Fulfillment,
  FulfillmentStateTransitionEvent,
  HistoryService,
  Logger,
  OrderLine,
  OrderPlacedEvent,
  OrderStateTransitionEvent,
  PaymentStateTransitionEvent,
  PluginCommonModule,
  ProductVariant,
  ProductVariantEvent,
  RefundStateTransitionEvent,
  StockMovementEvent,
  TransactionalConnection,
  VendurePlugin,
} = require('@vendure/core');

const ATTEMPTS = 3;
const PAUSE_MS = 500;
const TIMEOUT_MS = 10_000;
const TOLD_MAX = 10_000;
const HISTORY_TAKEN = 100;

// The APIs of the shop give ids as strings.
const orderRef = (order) => ({ id: String(order.id), code: order.code });

const orderBody = (order) => ({
  ...orderRef(order),
  state: order.state,
  active: order.active,
  orderPlacedAt: order.orderPlacedAt ?? null,
  updatedAt: order.updatedAt,
  currencyCode: order.currencyCode,
  totalWithTax: order.totalWithTax,
  customerEmail: order.customer?.emailAddress ?? null,
  lines: order.lines.map((line) => ({
    id: String(line.id),
    quantity: line.quantity,
    productVariantId: String(line.productVariantId),
    linePriceWithTax: line.linePriceWithTax,
  })),
});

const transition = (event) => ({ fromState: event.fromState, toState: event.toState });

class EventsByWebhook {
  static options = {};

  static init(options) {
    EventsByWebhook.options = options;
    return EventsByWebhook;
  }

  constructor(eventBus, connection, history) {
    this.eventBus = eventBus;
    this.connection = connection;
    this.history = history;
    this.sending = Promise.resolve();
    this.told = new Map();
  }

  onApplicationBootstrap() {
    const { url } = EventsByWebhook.options;
    if (!url) return;
    const say = (type, name, describe) =>
      this.eventBus.ofType(type).subscribe((event) => {
        const envelope = { id: randomUUID(), event: name(event), time: event.createdAt };
        this.sending = this.sending
          .then(async () => this.post(url, { ...envelope, data: await describe(event) }))
          .catch((error) => Logger.error(`${envelope.event}: ${error.message}`, 'EventsByWebhook'));
      });
    say(OrderPlacedEvent, () => 'order.placed', (e) => ({ order: orderBody(e.order) }));
    say(OrderStateTransitionEvent, () => 'order.state', async (e) => ({
      ...transition(e),
      historyId: await this.historyOf(e),
      order: orderBody(e.order),
    }));
    say(PaymentStateTransitionEvent, () => 'payment.state', (e) => ({
      ...transition(e),
      order: { ...orderRef(e.order), currencyCode: e.order.currencyCode },
      payment: {
        id: String(e.payment.id),
        amount: e.payment.amount,
        method: e.payment.method,
        state: e.payment.state,
        transactionId: e.payment.transactionId ?? null,
      },
    }));
    say(RefundStateTransitionEvent, () => 'refund.state', (e) => ({
      ...transition(e),
      order: orderRef(e.order),
      refund: { id: String(e.refund.id), total: e.refund.total, state: e.refund.state },
    }));
    say(FulfillmentStateTransitionEvent, () => 'fulfillment.state', async (e) => ({
      ...transition(e),
      fulfillment: {
        id: String(e.fulfillment.id),
        method: e.fulfillment.method,
        state: e.fulfillment.state,
      },
      orders: await this.ordersOf(e.fulfillment),
    }));
    say(StockMovementEvent, (e) => `stock.${e.type.toLowerCase()}`, async (e) => ({
      movements: await Promise.all(e.stockMovements.map((each) => this.movement(each))),
    }));
    say(ProductVariantEvent, (e) => `variant.${e.type}`, (e) => ({
      variants: e.entity.map(({ id, sku, enabled }) => ({ id: String(id), sku, enabled })),
    }));
  }

  // An event carries what the shop had at hand: the rest is read from its database.

  find(entity, id, relations) {
    return this.connection.rawConnection.getRepository(entity).findOne({ where: { id }, relations });
  }

  async movement(movement) {
    const variant = await this.find(ProductVariant, movement.productVariant.id);
    const line =
      movement.orderLine && (await this.find(OrderLine, movement.orderLine.id, { order: true }));
    return {
      id: String(movement.id),
      type: movement.type,
      quantity: movement.quantity,
      stockLocationId: String(movement.stockLocationId),
      productVariant: { id: String(variant.id), sku: variant.sku },
      order: line ? orderRef(line.order) : null,
    };
  }

  // An order may make the same transition twice, so its place in the order's history names it.
  async historyOf({ ctx, order, fromState, toState, createdAt }) {
    const { items } = await this.history.getHistoryForOrder(ctx, order.id, false, {
      filter: { type: { eq: 'ORDER_STATE_TRANSITION' } },
      sort: { id: 'DESC' },
      take: HISTORY_TAKEN,
    });
    const after = this.told.get(order.id) ?? 0;
    // SQLite keeps whole seconds.
    const since = createdAt.getTime() - 1000;
    const entry = items.reverse().find(
      ({ id, data, createdAt: at }) =>
        id > after && at.getTime() >= since && data.from === fromState && data.to === toState,
    );
    if (!entry) return null;
    this.told.delete(order.id);
    this.told.set(order.id, entry.id);
    if (this.told.size > TOLD_MAX) this.told.delete(this.told.keys().next().value);
    return String(entry.id);
  }

  async ordersOf(fulfillment) {
    const { lines } = await this.find(Fulfillment, fulfillment.id, {
      lines: { orderLine: { order: true } },
    });
    const orders = new Map(lines.map(({ orderLine }) => [orderLine.order.id, orderLine.order]));
    return [...orders.values()].map(orderRef);
  }

  async post(url, delivery) {
    const body = JSON.stringify(delivery);
    const signature = createHmac('sha256', EventsByWebhook.options.secret).update(body).digest('hex');
    const headers = {
      'content-type': 'application/json',
      'x-vendure-event': delivery.event,
      'x-vendure-delivery': delivery.id,
      'x-vendure-signature': `sha256=${signature}`,
    };
    for (let attempt = 1; ; attempt += 1) {
      try {
        const signal = AbortSignal.timeout(TIMEOUT_MS);
        const answer = await fetch(url, { method: 'POST', headers, body, signal });
        await answer.arrayBuffer();
        if (answer.ok) return;
        throw new Error(`HTTP ${answer.status}`);
      } catch (error) {
        if (attempt === ATTEMPTS) throw error;
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS * attempt));
      }
    }
  }
}

// What the decorators of a TypeScript plugin would say.
Reflect.defineMetadata(
  'design:paramtypes',
  [EventBus, TransactionalConnection, HistoryService],
  EventsByWebhook,
);
VendurePlugin({ compatibility: '^3.0.0', imports: [PluginCommonModule] })(EventsByWebhook);

module.exports = { EventsByWebhook };
