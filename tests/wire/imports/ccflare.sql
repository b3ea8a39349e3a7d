CREATE TABLE accounts (id TEXT PRIMARY KEY, name TEXT NOT NULL, provider TEXT DEFAULT 'anthropic', api_key TEXT,
  refresh_token TEXT NOT NULL, access_token TEXT, expires_at INTEGER, created_at INTEGER, last_used INTEGER,
  request_count INTEGER DEFAULT 0, total_requests INTEGER DEFAULT 0, account_tier INTEGER DEFAULT 1, paused INTEGER DEFAULT 0);
INSERT INTO accounts (id, name, provider, api_key, refresh_token, access_token, expires_at, paused) VALUES
 ('a','max','anthropic',NULL,'sk-ant-ort01-EXAMPLE-ccflare','sk-ant-oat01-EXAMPLE-ccflare',1767225600000,1),
 ('b','console','anthropic',NULL,'sk-ant-api03-EXAMPLE-ccflare','',NULL,0),
 ('c','glm','zai','EXAMPLE-zai','','',NULL,0);
