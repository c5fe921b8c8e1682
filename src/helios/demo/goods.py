"""What the shop of the demo sells, and to whom."""

from decimal import Decimal

import msgspec


class Product(msgspec.Struct, frozen=True):
    """An article and its price in euros."""

    sku: str
    name: str
    price: Decimal


class Customer(msgspec.Struct, frozen=True):
    """Somebody who orders."""

    id: str
    name: str
    city: str


PRODUCTS = tuple(
    Product(f"SKU-{number}", name, Decimal(price))
    for number, (name, price) in enumerate(
        (
            ("Espresso beans, 1 kg", "18.90"),
            ("Filter beans, 500 g", "11.50"),
            ("Decaf beans, 250 g", "7.95"),
            ("Moka pot, 6 cups", "34.99"),
            ("Hand grinder", "89.00"),
            ("Burr grinder", "249.00"),
            ("Gooseneck kettle", "64.95"),
            ("Milk jug, 350 ml", "16.80"),
            ("Paper filters, 100", "4.25"),
            ("Pour-over cone", "22.40"),
            ("Scales, 0.1 g", "39.90"),
            ("Cup and saucer", "9.75"),
            ("Cold brew bottle", "27.60"),
            ("Cleaning tablets", "8.10"),
        ),
        101,
    )
)

CUSTOMERS = tuple(
    Customer(f"C-{number}", name, city)
    for number, (name, city) in enumerate(
        (
            ("Ana Souza", "Recife"),
            ("Bruno Lima", "Curitiba"),
            ("Chiara Conti", "Bologna"),
            ("Daniel Weber", "Leipzig"),
            ("Elif Kaya", "Izmir"),
            ("Femke de Vries", "Utrecht"),
            ("Goran Horvat", "Split"),
            ("Hanna Nowak", "Gdynia"),
            ("Inês Duarte", "Porto"),
            ("Jonas Berg", "Malmö"),
            ("Kofi Mensah", "Accra"),
            ("Léa Martin", "Nantes"),
            ("Mei Tanaka", "Sendai"),
            ("Nadia Haddad", "Tunis"),
            ("Oskar Lind", "Turku"),
            ("Priya Nair", "Kochi"),
        ),
        2001,
    )
)

WAREHOUSES = ("north", "south", "port")
METHODS = ("card", "card", "card", "paypal", "boleto")
"""Ways to pay, each as often as it stands here."""
