"""The statements on the rest of a pool's life: devices that leave, upgrades, the order in which
licenses go, candidates, undo. All on pool tables, each naming one account."""

from __future__ import annotations

# --- registry --------------------------------------------------------------------------------

DEVICE_LEAVE = """
UPDATE device SET registered = 0
WHERE account = ? AND imei {among} AND registered = 1
"""

_DEVICE = """
SELECT device.imei, device.upgrade, coalesce(license.origin_ms, license.since_ms),
  (SELECT at_ms FROM change WHERE account = device.account AND sequence = device.upgraded_sequence)
"""

DEVICE_PAGE = (
    _DEVICE
    + """
FROM device LEFT JOIN license ON license.account = ? AND license.imei = device.imei
WHERE device.account = ? AND device.imei > ? AND device.registered = 1
ORDER BY device.imei LIMIT ?
"""
)

DEVICES_NAMED = (
    _DEVICE
    + """
FROM {named}
{each device, registered = 1}
{left license}
ORDER BY named.key
"""
)

DEVICES_AT = (
    _DEVICE
    + """
FROM device LEFT JOIN license ON license.account = ? AND license.imei = device.imei
WHERE device.account = ? AND device.registered = 1
ORDER BY device.imei LIMIT ? OFFSET ?
"""
)

# --- upgrades --------------------------------------------------------------------------------

UPGRADING = """
SELECT
  {list}(device.imei) FILTER (WHERE device.upgrade = 1),
  {list}(device.imei) FILTER (WHERE device.upgrade = 2)
FROM {named}
{each device, upgrade > 0}
"""

UPGRADE_SCHEDULE = """
UPDATE device SET upgrade = 1, upgrade_id = ?
WHERE account = ? AND imei {among} AND upgrade = 0
"""

UPGRADE_START = """
UPDATE device SET upgrade = 2
WHERE account = ? AND imei {among} AND upgrade = 1
"""

UPGRADE_END = """
UPDATE device SET upgrade = 0, upgrade_id = NULL, upgraded_sequence = coalesce(?, upgraded_sequence)
WHERE account = ? AND imei {among} AND upgrade > 0
"""

UPGRADE_INSERT = """
INSERT INTO upgrade (account, id, sequence, firmware_name, firmware_to, start_date, end_date)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (account, id) DO NOTHING
"""

# A device that was taken out of an upgrade and comes back to it stands at its new place.
UPGRADE_ITEMS_INSERT = """
INSERT INTO upgrade_item (account, id, imei, sequence, place, step)
SELECT ?, ?, value, ?, key, 1 FROM {named} WHERE true
ON CONFLICT (account, id, imei) DO UPDATE
SET sequence = excluded.sequence, place = excluded.place, step = excluded.step
"""

UPGRADE_ITEMS_STEP = """
UPDATE upgrade_item SET step = ?
WHERE account = ? AND (id, imei) IN (
  SELECT device.upgrade_id, device.imei FROM {named}
  {each device, upgrade_id IS NOT NULL})
"""

UPGRADE = """
SELECT sequence, firmware_name, firmware_to, start_date, end_date FROM upgrade
WHERE account = ? AND id = ?
"""

UPGRADE_ITEMS = """
SELECT imei, step FROM upgrade_item WHERE account = ? AND id = ? ORDER BY sequence, place
"""

# --- the order in which licenses go ----------------------------------------------------------

GRANTS_AFTER = """
SELECT sequence, held FROM granted
WHERE account = ? AND sequence > ? AND held > 0 ORDER BY sequence LIMIT ?
"""

ORIGINS = """
SELECT license.imei, coalesce(license.origin_sequence, license.since_sequence)
FROM {named}
{each license}
"""

HELD_SINCE = """
SELECT coalesce(origin_sequence, since_sequence), imei FROM license
WHERE account = ? AND coalesce(origin_sequence, since_sequence) <= ?
"""

PENDING = """
WITH named (value) AS (
  SELECT imei FROM (
    SELECT imei FROM pending WHERE account = ? ORDER BY sequence DESC, place DESC LIMIT ?) AS last
  UNION SELECT value FROM {listed})
SELECT pending.imei FROM named
{each pending}
ORDER BY pending.sequence DESC, pending.place DESC
"""

PENDING_INSERT = """
INSERT INTO pending (account, imei, sequence, place) SELECT ?, value, ?, key FROM {named}
"""

PENDING_DELETE = """
DELETE FROM pending WHERE account = ? AND imei {among}
"""

PENDING_AFTER = """
SELECT account, imei, sequence, place FROM pending
WHERE account = ? AND imei > ? ORDER BY imei LIMIT ?
"""

# --- candidates ------------------------------------------------------------------------------

LISTED = """
SELECT {list}(candidate.imei) FROM {named}
{each candidate}
"""

CANDIDATES_AFTER = """
SELECT imei, sequence, place FROM candidate
WHERE account = ? AND (sequence, place) > (?, ?) ORDER BY sequence, place LIMIT ?
"""

CANDIDATES_AT = """
SELECT imei FROM candidate WHERE account = ? ORDER BY sequence, place LIMIT ? OFFSET ?
"""

CANDIDATES_BETWEEN = """
SELECT account, imei, sequence, place FROM candidate
WHERE account = ? AND imei > ? ORDER BY imei LIMIT ?
"""

CANDIDATES_INSERT = """
INSERT INTO candidate (account, imei, sequence, place) SELECT ?, value, ?, key FROM {named}
"""

CANDIDATES_DELETE = """
DELETE FROM candidate WHERE account = ? AND imei {among}
"""

CANDIDATES_CLEAR = "DELETE FROM candidate WHERE account = ?"

# --- undo ------------------------------------------------------------------------------------

ALTERED_AFTER = """
SELECT imei, max(altered_sequence) FROM (
  SELECT span.imei, span.until_sequence AS altered_sequence FROM {named}
  {each span, until_sequence > ?}
  UNION ALL
  SELECT license.imei, license.since_sequence FROM {named}
  {each license, since_sequence > ?}) AS later
GROUP BY imei
"""

# From the interval that was the device's last, with the date and place it had.
LICENSE_GIVE_BACK = """
INSERT INTO license (account, imei, since_ms, since_sequence, origin_sequence, origin_ms)
SELECT span.account, span.imei, ?, ?, coalesce(span.origin_sequence, span.since_sequence),
  coalesce(span.origin_ms, span.since_ms)
FROM {named}
{each span, since_sequence =
  (SELECT max(since_sequence) FROM span WHERE account = ? AND imei = named.value)}
"""

GRANTED_GIVE_BACK = """
INSERT INTO granted (account, sequence, held)
SELECT ?, origin_sequence, count(*) FROM license
WHERE account = ? AND imei {among} GROUP BY origin_sequence
ON CONFLICT (account, sequence) DO UPDATE SET held = granted.held + excluded.held
"""

GRANTED_BETWEEN = """
SELECT sequence, held FROM granted WHERE account = ? AND sequence > ? ORDER BY sequence LIMIT ?
"""
