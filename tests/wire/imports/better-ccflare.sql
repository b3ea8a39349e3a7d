CREATE TABLE accounts (id TEXT PRIMARY KEY, name TEXT NOT NULL, provider TEXT DEFAULT 'anthropic', api_key TEXT,
  refresh_token TEXT, access_token TEXT, expires_at INTEGER, paused INTEGER DEFAULT 0, priority INTEGER DEFAULT 0,
  requires_reauth INTEGER DEFAULT 0, custom_endpoint TEXT, billing_type TEXT);
INSERT INTO accounts (id, name, provider, api_key, refresh_token, access_token, expires_at, priority, custom_endpoint) VALUES
 ('a','second','anthropic',NULL,'sk-ant-ort01-EXAMPLE-bccf','sk-ant-oat01-EXAMPLE-bccf',1767225600000,9,NULL),
 ('b','first','claude-console-api','sk-ant-api03-EXAMPLE-bccf',NULL,NULL,NULL,1,NULL),
 ('c','elsewhere','claude-console-api','sk-ant-api03-EXAMPLE-elsewhere',NULL,NULL,NULL,2,'https://gateway.example.org'),
 ('d','keyless','claude-console-api',NULL,NULL,NULL,NULL,3,NULL);
CREATE TABLE api_keys (id TEXT, hashed_key TEXT);
