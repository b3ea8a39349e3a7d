CREATE TABLE credential (id TEXT PRIMARY KEY, integration_id TEXT, method_id TEXT, label TEXT, value TEXT, active INTEGER,
  time_created INTEGER, time_updated INTEGER);
INSERT INTO credential VALUES
 ('cred_1','anthropic','api-key','Spare','{"type":"key","key":"sk-ant-api03-EXAMPLE-oc2","metadata":{}}',0,1767000000000,1767000000000),
 ('cred_2','anthropic','oauth','Imported','{"type":"oauth","refresh":"sk-ant-ort01-EXAMPLE-oc2","access":"sk-ant-oat01-EXAMPLE-oc2","expires":1767225600000}',1,1767000000000,1767000000000),
 ('cred_3','opencode-go','api-key','default','{"type":"key","key":"sk-EXAMPLE-go-oc2"}',1,1767000000000,1767000000000),
 ('cred_4','openai','chatgpt-browser','default','{"type":"oauth","refresh":"EXAMPLE-r","access":"EXAMPLE-a","expires":0}',1,1767000000000,1767000000000),
 ('cred_5','anthropic','api-key','Broken','{"type":"key","key":',0,1767000000000,1767000000000);
CREATE TABLE session (id TEXT PRIMARY KEY, data TEXT);
