"""What a contract, its pictures and its signatures may measure; each with its reason.

The DHT's own table is ``dht_limits``.
"""

from __future__ import annotations

# --- the whole -----------------------------------------------------------------------

MAX_SIGNED_SIZE = 192 * 1024
"""Bytes of a signed contract, native or clear-signed: MAX_IMAGE_TEXT and all the words."""

MAX_NESTED_SIZE = 2 * MAX_SIGNED_SIZE
"""Bytes of a contract that seller, buyer and notary have clear-signed one after the other. Each
of the last two adds a certificate and a signature, and every layer a dash before some lines."""

MAX_DRAFT_SIZE = 12 * 1024 * 1024
"""Bytes of a contract that the owner's own client sends: one photograph as base64, and words."""

MAX_QUOTED = 64
"""Characters of somebody's text that an error repeats."""

# --- words: characters ---------------------------------------------------------------

MAX_TITLE = 200
"""``item_title``: one line. The web client shows about 40 of it in a list."""

MAX_DESCRIPTION = 16_384
"""``item_desc``: some six pages."""

MAX_KEYWORDS = 20
"""``item_keywords``. Each is a place in the DHT that is kept up every hour."""

MAX_KEYWORD = 64
"""Characters of one keyword, and bytes of its UTF-8: longer ones cannot be looked for."""

MAX_LINE = 256
"""Any other single line: a region, an estimate of delivery, an address of Bitcoin."""

MAX_COUNTRIES = 2_048
"""``item_delivery.countries``: 249 codes, or some names."""

MAX_CERTIFICATE = 16_384
"""``seller_PGP`` and its kin, armored. An RSA key of 4096 bits with one name and one subkey takes
3,200 characters; what is longer carries pictures, or the signatures of many others."""

# --- numbers -------------------------------------------------------------------------

MAX_QUANTITY = 1_000_000
"""``item_quantity``. More is a typing error, or an attempt to sort first."""

MAX_CONTRACT_ID = 2**53 - 1
"""``seller_contract_id``: the largest whole number that every JSON reader keeps."""

MAX_NUMBER_TEXT = 32
"""Characters of a number as it was sent: 8 digits, a point and 8 more take 17, and some clients
add zeros."""

# --- pictures ------------------------------------------------------------------------

MAX_REMOTE_IMAGES = 3
"""``item_remote_images``. Source: the web client of OpenBazaar 0.3.1, which offers three fields."""

MAX_URL = 2_048
"""Characters of one of them: what every browser takes."""

MAX_IMAGE_TEXT = 160 * 1024
"""Characters of ``item_images`` in a signed contract. The original's picture is a PNG of 200 by 200
as a data URI: 160,000 where nothing can be compressed; ours take a tenth."""

MAX_UPLOAD = 8 * 1024 * 1024
"""Bytes of a picture before it is made small: a photograph of 25 megapixels as JPEG."""

MAX_UPLOAD_TEXT = 4 * MAX_UPLOAD // 3 + 64
"""Characters of such a picture as a data URI."""

MAX_IMAGE_PIXELS = 25_000_000
"""Pixels of a picture that is decoded, 100 MB while it lasts. Pillow's own limit is 89 million,
too much for something a web page can make the node do."""

MAX_IMAGE_SIDE = 16_384
"""Pixels of one side: an image of one by 25 million costs more than its pixels."""

MAX_JPEG_SCANS = 64
"""Scans of a JPEG. Progressive ones of cameras have about ten; a scan of thirty bytes can cost a
pass over all 25 million pixels, and a file of 8 MB could hold 250,000 of them."""

MAX_SHOWN_SIDE = 1_024
"""Pixels of one side of a picture in somebody else's contract: 4 MB in a reader's browser."""

THUMBNAIL_SIDE = 200
"""Pixels of the longer side of a picture in a contract. Source: OpenBazaar, all versions."""

# --- time ----------------------------------------------------------------------------

LISTING_LIFETIME = 30 * 86_400
"""Seconds a listing is offered after it was signed, unless its merchant says otherwise. A node
that runs signs anew long before; what is left of one that is gone ends by itself."""

MAX_LISTING_LIFETIME = 366 * 86_400
"""Seconds. A signed offer cannot be taken back from those who never hear of it."""

CLOCK_TOLERANCE = 600
"""Seconds by which the clocks of honest nodes differ."""

MAX_SEQUENCE = 2**53 - 1
"""Versions of a listing or an index: the largest whole number that every JSON reader keeps."""

MAX_OFFER_SIZE = 2_048
"""Bytes of what a merchant signs again and again: the terms of an offer, or the index of a store.
Both take about 600; the rest is for later fields."""

MAX_STORE_LISTINGS = 100_000
"""Listings of one store that an index may speak of."""
