CREATE TABLE account (
  name TEXT NOT NULL, modseq INTEGER NOT NULL, size_bytes INTEGER NOT NULL, message_count INTEGER NOT NULL,
  quota_bytes INTEGER NOT NULL, done_below INTEGER NOT NULL);
CREATE TABLE mailboxes (
  mailbox_id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, uid_validity INTEGER NOT NULL,
  uid_next INTEGER NOT NULL, highest_modseq INTEGER NOT NULL, message_count INTEGER NOT NULL,
  unseen_count INTEGER NOT NULL, deleted_count INTEGER NOT NULL, size_bytes INTEGER NOT NULL,
  special_use TEXT NOT NULL);
CREATE TABLE names_used (name TEXT PRIMARY KEY, uid_validity INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE subscriptions (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE keywords (folded TEXT PRIMARY KEY, spelling TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE letters (
  letter_id INTEGER PRIMARY KEY, message_count INTEGER NOT NULL, size_bytes INTEGER NOT NULL,
  sha256 TEXT NOT NULL UNIQUE);
CREATE TABLE digests (
  letter_id INTEGER PRIMARY KEY, envelope BLOB NOT NULL, bodystructure BLOB NOT NULL, body BLOB NOT NULL,
  parts BLOB NOT NULL, header_bytes INTEGER NOT NULL, sent_at_s INTEGER NOT NULL, subject TEXT NOT NULL,
  message_id TEXT NOT NULL);
CREATE TABLE messages (
  mailbox_id INTEGER NOT NULL, uid INTEGER NOT NULL, modseq INTEGER NOT NULL, flags INTEGER NOT NULL,
  keywords TEXT NOT NULL, size_bytes INTEGER NOT NULL, received_at_s INTEGER NOT NULL, sha256 TEXT NOT NULL,
  letter_id INTEGER NOT NULL, PRIMARY KEY (mailbox_id, uid)) WITHOUT ROWID;
CREATE INDEX messages_by_modseq ON messages (mailbox_id, modseq);
CREATE TABLE expunged (
  mailbox_id INTEGER NOT NULL, modseq INTEGER NOT NULL, uid INTEGER NOT NULL,
  PRIMARY KEY (mailbox_id, modseq, uid)) WITHOUT ROWID;
CREATE TABLE deliveries (recipient_id INTEGER PRIMARY KEY);
