'use strict';

// Vendure's admin API lists stock movements and does not say which order each is for. Whoever
// missed the event of a movement asks here: `order { stockMovements { … } }`.

const { Parent, ResolveField, Resolver } = require('@nestjs/graphql');
const {
  Allocation,
  Cancellation,
  PluginCommonModule,
  Release,
  Sale,
  TransactionalConnection,
  VendurePlugin,
} = require('@vendure/core');
const { gql } = require('graphql-tag');

const schema = gql`
  type MovementOfOrder {
    id: ID!
    createdAt: DateTime!
    type: StockMovementType!
    quantity: Int!
    stockLocationId: ID!
    productVariantId: ID!
    sku: String!
  }
  extend type Order {
    stockMovements: [MovementOfOrder!]!
  }
`;

class MovementsOfOrder {
  constructor(connection) {
    this.connection = connection;
  }

  async stockMovements(order) {
    const found = await Promise.all(
      [Allocation, Sale, Cancellation, Release].map((entity) =>
        this.connection.rawConnection.getRepository(entity).find({
          where: { orderLine: { order: { id: order.id } } },
          relations: { productVariant: true },
        }),
      ),
    );
    return found.flat().map((movement) => ({
      id: movement.id,
      createdAt: movement.createdAt,
      type: movement.type,
      quantity: movement.quantity,
      stockLocationId: movement.stockLocationId,
      productVariantId: movement.productVariant.id,
      sku: movement.productVariant.sku,
    }));
  }
}

class StockOfOrders {}

// What the decorators of a TypeScript plugin would say.
const { prototype } = MovementsOfOrder;
const method = Object.getOwnPropertyDescriptor(prototype, 'stockMovements');
Reflect.defineMetadata('design:paramtypes', [TransactionalConnection], MovementsOfOrder);
Parent()(prototype, 'stockMovements', 0);
ResolveField('stockMovements')(prototype, 'stockMovements', method);
Resolver('Order')(MovementsOfOrder);
VendurePlugin({
  compatibility: '^3.0.0',
  imports: [PluginCommonModule],
  adminApiExtensions: { schema, resolvers: [MovementsOfOrder] },
})(StockOfOrders);

module.exports = { StockOfOrders };
