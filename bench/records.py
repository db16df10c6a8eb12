"""JSON records as services write them, made up from a seed: what ``make bench-records`` is measured on.

Four kinds of about 500 bytes each, one line without spaces: log events, users, products, orders. Values have
the entropy that real ones have: identifiers and times are random, names and texts come from lists, unevenly,
amounts follow from each other.
"""

import json
import random
from collections.abc import Callable
from typing import Any

Record = dict[str, Any]


def _words(text: str) -> list[str]:
    return text.split()


FIRST = _words(
    """
    Emma Liam Olivia Noah Ava Sofia Mateo Lucas Mia Hugo Chloe Leon Anna Jonas Elena Marco Giulia Pablo
    Lucia Ivan Olga Dmitri Yuki Haruto Aiko Wei Min Jing Raj Priya Arjun Fatima Omar Layla Ahmed Zainab
    Kwame Amara Chidi Thandi Ingrid Lars Freya Bjorn Niamh Sean Grace Henry Alice Oscar Ruby Felix Nora
    Samuel Maya Daniel Clara
    """
)
LAST = _words(
    """
    Smith Johnson Brown Garcia Miller Davis Martinez Wilson Anderson Thomas Moore Martin Lee Thompson
    White Harris Clark Lewis Walker Hall Young King Wright Hill Green Adams Baker Nelson Carter Novak
    Horvat Kowalski Nowak Müller Schmidt Fischer Weber Wagner Rossi Russo Ferrari Silva Santos Oliveira
    Costa Tanaka Suzuki Sato Kim Park Nguyen Tran Singh Patel Khan Ali Hassan Okafor Mensah Dlamini
    Larsen Nilsson Virtanen O'Brien Murphy
    """
)
CITIES = (
    ("Berlin", "DE", "Europe/Berlin", "10"),
    ("Hamburg", "DE", "Europe/Berlin", "20"),
    ("London", "GB", "Europe/London", "EC"),
    ("Manchester", "GB", "Europe/London", "M"),
    ("Paris", "FR", "Europe/Paris", "75"),
    ("Lyon", "FR", "Europe/Paris", "69"),
    ("Madrid", "ES", "Europe/Madrid", "28"),
    ("Barcelona", "ES", "Europe/Madrid", "08"),
    ("Roma", "IT", "Europe/Rome", "00"),
    ("Warszawa", "PL", "Europe/Warsaw", "02"),
    ("New York", "US", "America/New_York", "100"),
    ("Chicago", "US", "America/Chicago", "606"),
    ("San Francisco", "US", "America/Los_Angeles", "941"),
    ("Toronto", "CA", "America/Toronto", "M5"),
    ("São Paulo", "BR", "America/Sao_Paulo", "01"),
    ("Tokyo", "JP", "Asia/Tokyo", "100"),
    ("Singapore", "SG", "Asia/Singapore", "04"),
    ("Mumbai", "IN", "Asia/Kolkata", "400"),
    ("Sydney", "AU", "Australia/Sydney", "20"),
    ("Lagos", "NG", "Africa/Lagos", "100"),
)
STREETS = _words(
    """
    Main High Church Park Station Mill Market Garden Bridge River Oak Cedar Maple Lake Hill Spring
    """
)
MAIL = ("gmail.com", "outlook.com", "yahoo.com", "icloud.com", "proton.me", "web.de", "example.org")
SERVICES = ("gateway", "auth", "checkout", "catalog", "search", "payments", "notifications", "inventory")
ROUTES = (
    ("GET", "/api/v2/products/{}", "catalog"),
    ("GET", "/api/v2/search?q={}&page={}", "search"),
    ("POST", "/api/v2/orders", "checkout"),
    ("GET", "/api/v2/orders/{}", "checkout"),
    ("PUT", "/api/v2/users/{}/preferences", "auth"),
    ("POST", "/api/v2/sessions", "auth"),
    ("DELETE", "/api/v2/carts/{}/items/{}", "checkout"),
    ("POST", "/api/v2/payments/{}/capture", "payments"),
    ("GET", "/api/v2/inventory/{}/stock", "inventory"),
    ("GET", "/healthz", "gateway"),
)
AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{}.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:{}.0) Gecko/20100101 Firefox/{}.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_{} like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
    "okhttp/4.{}.0",
    "python-requests/2.{}.0",
)
FAILURES = (
    "upstream timed out after {} ms while reading response header",
    "connection pool exhausted, {} requests waiting",
    "card declined by issuer, code {}",
    "stale cache entry evicted after {} s",
    "retrying in {} ms after transient error",
    "token expired {} seconds ago",
)
ADJECTIVES = _words(
    """
    Compact Classic Wireless Ergonomic Portable Waterproof Recycled Premium Lightweight Foldable Organic
    Adjustable Insulated Stainless Vintage Smart
    """
)
NOUNS = _words(
    """
    Backpack Headphones Keyboard Lamp Bottle Jacket Chair Notebook Speaker Mug Blender Tent Camera Watch
    Shoes Blanket Monitor Charger Umbrella Wallet
    """
)
MATERIALS = _words(
    """
    aluminium cotton leather oak polyester steel wool bamboo glass nylon
    """
)
PHRASES = (
    "built to last for years of daily use",
    "with a two year warranty",
    "fits easily into any bag",
    "made from {} sourced in Europe",
    "available in {} colours",
    "charges fully in under {} hours",
    "machine washable at {} degrees",
    "ships in plastic-free packaging",
    "rated {} out of 5 by our customers",
    "designed in Copenhagen",
    "holds up to {} litres",
)
STATES = ("pending", "paid", "shipped", "delivered", "cancelled", "refunded")


def _time(r: random.Random) -> str:
    day, second = r.randrange(1, 29), r.randrange(86400)
    return (
        f"2026-{r.choice((9, 10)):02}-{day:02}T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
        f".{r.randrange(1000):03}Z"
    )


def _skewed(r: random.Random, values: Any) -> Any:
    """One of the values, the first ones more often."""
    return values[int(len(values) * r.random() ** 1.7)]


def _hexadecimal(r: random.Random, digits: int) -> str:
    return f"{r.getrandbits(4 * digits):0{digits}x}"


def log_event(r: random.Random) -> Record:
    """A line of a web service's log."""
    method, route, service = _skewed(r, ROUTES)
    status = r.choices((200, 201, 304, 400, 401, 404, 500, 503), (70, 8, 6, 4, 3, 5, 2, 2))[0]
    agent = _skewed(r, AGENTS)
    version = r.randrange(10, 25)
    event: Record = {
        "timestamp": _time(r),
        "level": "ERROR" if status >= 500 else "WARN" if status >= 400 else "INFO",
        "service": service,
        "host": f"{service}-{r.randrange(1, 13):02}.{r.choice(('eu-west-1', 'us-east-1'))}.internal",
        "trace_id": _hexadecimal(r, 16),
        "request": {
            "method": method,
            "path": route.format(r.randrange(100000), r.randrange(1, 9)),
            "remote_addr": ".".join(str(r.randrange(1, 255)) for _ in range(4)),
            "user_agent": agent.format(version, version),
        },
        "response": {"status": status, "bytes": int(r.lognormvariate(7, 1.2)), "cached": r.random() < 0.3},
        "duration_ms": round(r.lognormvariate(3, 1), 2),
        "user_id": r.randrange(10000, 99999) if r.random() < 0.7 else None,
    }
    if status >= 400:
        event["message"] = _skewed(r, FAILURES).format(r.randrange(10, 5000))
    return event


def user(r: random.Random) -> Record:
    """An account."""
    first, last = _skewed(r, FIRST), _skewed(r, LAST)
    city, country, zone, post = _skewed(r, CITIES)
    name = f"{first}{r.choice(('.', '_', ''))}{last}".lower().replace("'", "")
    return {
        "id": r.randrange(10000, 99999),
        "username": f"{name}{r.randrange(100)}",
        "name": {"first": first, "last": last},
        "email": f"{name}{r.choice(('', str(r.randrange(60, 100))))}@{_skewed(r, MAIL)}",
        "email_verified": r.random() < 0.85,
        "phone": f"+{r.choice((1, 33, 44, 49))} {r.randrange(100, 999)} {r.randrange(1000000, 9999999)}",
        "address": {
            "street": f"{r.randrange(1, 240)} {_skewed(r, STREETS)} Street",
            "city": city,
            "postcode": f"{post}{r.randrange(100, 999)}",
            "country": country,
        },
        "timezone": zone,
        "created_at": _time(r),
        "last_login": _time(r),
        "roles": ["user"]
        + (["editor"] if r.random() < 0.2 else [])
        + (["admin"] if r.random() < 0.05 else []),
        "preferences": {
            "newsletter": r.random() < 0.4,
            "theme": r.choice(("light", "dark", "system")),
            "language": r.choice(("en", "de", "fr", "es")),
        },
        "loyalty_points": int(r.expovariate(1 / 900)),
    }


def product(r: random.Random) -> Record:
    """An article of a catalogue."""
    adjective, noun, material = _skewed(r, ADJECTIVES), _skewed(r, NOUNS), _skewed(r, MATERIALS)
    said = [phrase.format(r.choice((material, r.randrange(2, 12)))) for phrase in r.sample(PHRASES, 3)]
    return {
        "sku": f"{noun[:3].upper()}-{r.randrange(10000, 99999)}-{adjective[:2].upper()}",
        "name": f"{adjective} {material.capitalize()} {noun}",
        "description": f"{adjective} {noun.lower()} {said[0]}, {said[1]} and {said[2]}.",
        "category": ["home", noun.lower()] if r.random() < 0.5 else ["outdoor", "accessories", noun.lower()],
        "price": {"amount": r.randrange(5, 300) - 0.01, "currency": _skewed(r, ("EUR", "USD", "GBP"))},
        "stock": {
            "warehouse": f"WH-{r.randrange(1, 9)}",
            "available": r.randrange(500),
            "reserved": r.randrange(20),
        },
        "dimensions_cm": {key: r.randrange(5, 120) for key in ("width", "height", "depth")},
        "weight_g": r.randrange(50, 5000),
        "rating": {"average": round(r.uniform(2.5, 5), 1), "count": int(r.expovariate(1 / 200))},
        "tags": sorted({_skewed(r, MATERIALS), material, adjective.lower()}),
        "updated_at": _time(r),
        "active": r.random() < 0.9,
    }


def order(r: random.Random) -> Record:
    """What somebody bought."""
    lines: list[dict[str, Any]] = []
    for _ in range(r.choice((1, 1, 2, 2, 3))):
        price, quantity = r.randrange(5, 300) - 0.01, r.choice((1, 1, 1, 2, 3))
        noun = _skewed(r, NOUNS)
        sku = f"{noun[:3].upper()}-{r.randrange(10000, 99999)}-{_skewed(r, ADJECTIVES)[:2].upper()}"
        lines.append(
            {"sku": sku, "quantity": quantity, "unit_price": price, "total": round(price * quantity, 2)}
        )
    total = round(sum(line["total"] for line in lines), 2)
    shipping = 0 if total > 100 else 4.9
    city, country, _, post = _skewed(r, CITIES)
    status = _skewed(r, STATES)
    return {
        "order_id": f"ORD-2026-{r.randrange(10**6):06}",
        "customer_id": r.randrange(10000, 99999),
        "status": status,
        "created_at": _time(r),
        "lines": lines,
        "subtotal": total,
        "shipping": shipping,
        "total": round(total + shipping, 2),
        "currency": _skewed(r, ("EUR", "USD", "GBP")),
        "payment": {
            "method": _skewed(r, ("card", "paypal", "invoice")),
            "reference": f"pi_{_hexadecimal(r, 16)}",
            "captured": status != "pending",
        },
        "ship_to": {"city": city, "postcode": f"{post}{r.randrange(100, 999)}", "country": country},
    }


KINDS: dict[str, Callable[[random.Random], Record]] = {
    "log events": log_event,
    "users": user,
    "products": product,
    "orders": order,
}


def make(count: int, seed: int) -> list[tuple[str, bytes]]:
    """So many records, each with its kind, in a random order of kinds; the same for the same seed."""
    r = random.Random(seed)
    made = []
    for _ in range(count):
        kind = r.choice(list(KINDS))
        text = json.dumps(KINDS[kind](r), ensure_ascii=False, separators=(",", ":"))
        made.append((kind, text.encode() + b"\n"))
    return made
