-- Pool tables. The account id is the first column of every key, and every statement on them
-- names one account.

CREATE TABLE account (
  account {integer} NOT NULL PRIMARY KEY,
  purchase_type TEXT NOT NULL CHECK (purchase_type IN ('MRC', 'EVNT', 'both')),
  active {integer} NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
  total {integer} NOT NULL,
  used {integer} NOT NULL,
  overhang {integer} NOT NULL,
  sequence {integer} NOT NULL CHECK (sequence >= 0),
  changed_at_ms {integer} NOT NULL,
  head {bytes} NOT NULL,
  CHECK (total >= 0 AND used >= 0 AND overhang >= 0
    AND ((overhang = 0 AND used <= total) OR (overhang > 0 AND used = total + overhang))),
  CHECK (purchase_type <> 'EVNT' OR total = 0)
) {updated_in_place};

CREATE TABLE device (
  account {integer} NOT NULL,
  imei {integer} NOT NULL CHECK (imei BETWEEN 0 AND 999999999999999),
  registered {integer} NOT NULL DEFAULT 1 CHECK (registered IN (0, 1)),
  upgrade {integer} NOT NULL DEFAULT 0 CHECK (upgrade IN (0, 1, 2)),
  upgraded_sequence {integer} NOT NULL DEFAULT 0,
  PRIMARY KEY (account, imei)
) {clustered};

CREATE TABLE license (
  account {integer} NOT NULL,
  imei {integer} NOT NULL,
  since_ms {integer} NOT NULL,
  since_sequence {integer} NOT NULL,
  PRIMARY KEY (account, imei)
) {clustered};

CREATE TABLE span (
  account {integer} NOT NULL,
  imei {integer} NOT NULL,
  since_ms {integer} NOT NULL,
  until_ms {integer} NOT NULL,
  since_sequence {integer} NOT NULL,
  until_sequence {integer} NOT NULL CHECK (until_sequence > since_sequence),
  PRIMARY KEY (account, imei, since_sequence)
) {clustered};

CREATE TABLE change (
  account {integer} NOT NULL,
  sequence {integer} NOT NULL CHECK (sequence > 0),
  at_ms {integer} NOT NULL,
  actor TEXT NOT NULL,
  request_id {bytes} NOT NULL,
  verb {integer} NOT NULL,
  devices {bytes} NOT NULL,
  outcomes {bytes} NOT NULL,
  total {integer} NOT NULL,
  used {integer} NOT NULL,
  overhang {integer} NOT NULL,
  detail TEXT NOT NULL,
  hash {bytes} NOT NULL,
  PRIMARY KEY (account, sequence)
) {clustered};

CREATE TABLE idempotency (
  account {integer} NOT NULL,
  key TEXT NOT NULL,
  fingerprint {bytes} NOT NULL,
  sequence {integer} NOT NULL,
  PRIMARY KEY (account, key)
) {clustered};

-- Directory tables: small, apart from the pools, and in no statement together with them.

CREATE TABLE account_name (
  name TEXT NOT NULL PRIMARY KEY,
  account {integer} NOT NULL UNIQUE
) {clustered};

CREATE TABLE credential (
  credential {integer} NOT NULL PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  role {integer} NOT NULL CHECK (role IN (1, 2, 3)),
  client_id TEXT NOT NULL UNIQUE,
  client_secret_hash TEXT NOT NULL,
  username TEXT NOT NULL UNIQUE,
  password_hash TEXT NOT NULL,
  created_at_ms {integer} NOT NULL,
  failed_logins {integer} NOT NULL DEFAULT 0,
  locked_until_ms {integer} NOT NULL DEFAULT 0,
  revoked_at_ms {integer} NOT NULL DEFAULT 0
) {clustered};

CREATE TABLE credential_account (
  credential {integer} NOT NULL,
  account {integer} NOT NULL,
  PRIMARY KEY (credential, account)
) {clustered};

CREATE TABLE token (
  credential {integer} NOT NULL PRIMARY KEY,
  hash {bytes} NOT NULL UNIQUE,
  nonce {bytes} NOT NULL,
  expires_at_ms {integer} NOT NULL
) {clustered};

CREATE TABLE session (
  hash {bytes} NOT NULL PRIMARY KEY,
  credential {integer} NOT NULL,
  used_at_ms {integer} NOT NULL
) {clustered};

CREATE INDEX session_by_use ON session (used_at_ms);

CREATE TABLE heartbeat (
  process {integer} NOT NULL PRIMARY KEY,
  at_ms {integer} NOT NULL
) {clustered};

CREATE TABLE migration (
  number {integer} NOT NULL PRIMARY KEY,
  applied_at_ms {integer} NOT NULL
) {clustered};
