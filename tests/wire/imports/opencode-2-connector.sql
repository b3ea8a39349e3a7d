CREATE TABLE credential (id TEXT PRIMARY KEY, connector_id TEXT, label TEXT, value TEXT, active INTEGER);
INSERT INTO credential VALUES ('cred_1','opencode-go','Go at work','{"type":"key","key":"sk-EXAMPLE-go-connector"}',1);
