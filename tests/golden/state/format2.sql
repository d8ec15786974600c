PRAGMA application_id = 1651079794;
BEGIN TRANSACTION;
CREATE TABLE "Counter" ("id" TEXT PRIMARY KEY NOT NULL, "n" ANY, "pad" TEXT) STRICT, WITHOUT ROWID;
INSERT INTO "Counter" VALUES('all',6,'{}');
INSERT INTO "Counter" VALUES('c0',3,'{}');
INSERT INTO "Counter" VALUES('c3',6,'{}');
CREATE TABLE _chain (last_seq INTEGER PRIMARY KEY, digest TEXT NOT NULL) STRICT;
INSERT INTO "_chain" VALUES(3,'fba8e9f5db24d707ff7cedbc7cf9cb5a709d800ab331756c3422eebba6657432');
INSERT INTO "_chain" VALUES(6,'0870273c177d88a00164ccbae8c55016238bb1594f15e3c66df26fb38e0c7c7b');
INSERT INTO "_chain" VALUES(16,'5be874c0f3334fcead7299476c4f2277ded2594c5ef9d8dd13df0cb3a3f91bd9');
CREATE TABLE "_clock" ("id" TEXT PRIMARY KEY NOT NULL, "at" TEXT, "order" ANY, "spec" TEXT, "path" TEXT, "format" ANY) STRICT, WITHOUT ROWID;
INSERT INTO "_clock" VALUES('clock','2026-01-05T09:00:00.250000Z',7,'shop','shop.biz',1);
CREATE TABLE _dropped (
  "table" TEXT, "column" TEXT, "key" TEXT, "type" TEXT, "value" ANY,
  PRIMARY KEY ("table", "column", "key")) STRICT, WITHOUT ROWID;
CREATE TABLE _log (
      seq INTEGER PRIMARY KEY, source TEXT, id TEXT, type TEXT, time TEXT, raw TEXT, status TEXT,
      reason TEXT, cause INTEGER, fired TEXT) STRICT;
INSERT INTO "_log" VALUES(1,'s','e000000001','A.b','2026-01-31T09:00:00Z','{}','handled',NULL,NULL,NULL);
INSERT INTO "_log" VALUES(2,'s','e000000002','A.b','2026-01-31T09:00:00Z','{}','handled',NULL,NULL,NULL);
INSERT INTO "_log" VALUES(3,'s','e000000003','A.b','2026-01-31T09:00:00Z','{}','handled',NULL,NULL,NULL);
INSERT INTO "_log" VALUES(4,'s','e000000004','A.b','2026-01-31T09:00:00Z','{}','handled',NULL,NULL,NULL);
INSERT INTO "_log" VALUES(5,'s','e000000005','A.b','2026-01-31T09:00:00Z','{}','handled',NULL,NULL,NULL);
INSERT INTO "_log" VALUES(6,'s','e000000006','A.b','2026-01-31T09:00:00Z','{}','handled',NULL,NULL,NULL);
CREATE TABLE _log_id (
      source TEXT NOT NULL, id TEXT NOT NULL, seq INTEGER NOT NULL, status TEXT NOT NULL,
      PRIMARY KEY (source, id)) STRICT, WITHOUT ROWID;
INSERT INTO "_log_id" VALUES('s','e000000001',1,'handled');
INSERT INTO "_log_id" VALUES('s','e000000002',2,'handled');
INSERT INTO "_log_id" VALUES('s','e000000003',3,'handled');
INSERT INTO "_log_id" VALUES('s','e000000004',4,'handled');
INSERT INTO "_log_id" VALUES('s','e000000005',5,'handled');
INSERT INTO "_log_id" VALUES('s','e000000006',6,'handled');
CREATE TABLE _log_plain (
      seq INTEGER PRIMARY KEY, count INTEGER NOT NULL, low TEXT NOT NULL,
      high TEXT NOT NULL UNIQUE, text TEXT NOT NULL, fired TEXT) STRICT;
INSERT INTO "_log_plain" VALUES(7,10,'e000000007','e000000016','{"id":"e000000007","type":"A.b","time":"2026-01-31T09:00:00Z"}
{"id":"e000000008","type":"A.b","time":"2026-01-31T09:00:00Z"}
{"id":"e000000009","type":"A.b","time":"2026-01-31T09:00:00Z"}
{"id":"e000000010","type":"A.b","time":"2026-01-31T09:00:00Z"}
{"id":"e000000011","type":"A.b","time":"2026-01-31T09:00:00Z"}
{"id":"e000000012","type":"A.b","time":"2026-01-31T09:00:00Z"}
{"id":"e000000013","type":"A.b","time":"2026-01-31T09:00:00Z"}
{"id":"e000000014","type":"A.b","time":"2026-01-31T09:00:00Z"}
{"id":"e000000015","type":"A.b","time":"2026-01-31T09:00:00Z"}
{"id":"e000000016","type":"A.b","time":"2026-01-31T09:00:00Z"}
',NULL);
CREATE TABLE _meta (name TEXT PRIMARY KEY, value TEXT) STRICT, WITHOUT ROWID;
INSERT INTO "_meta" VALUES('commits','1');
INSERT INTO "_meta" VALUES('format','2');
INSERT INTO "_meta" VALUES('table:Counter','{"name":"Counter","key":"id","columns":[["id","text",false],["n","integer",false],["pad","text",false]],"indexes":[["n"]]}');
INSERT INTO "_meta" VALUES('table:_clock','{"name":"_clock","key":"id","columns":[["id","text",false],["at","time",false],["order","integer",false],["spec","text",false],["path","text",false],["format","integer",false]],"indexes":[]}');
CREATE TRIGGER _log_plain_unique BEFORE INSERT ON _log_plain WHEN
      EXISTS (SELECT 1 FROM (SELECT low FROM _log_plain WHERE high >= NEW.low
                             ORDER BY high LIMIT 1) WHERE low <= NEW.high)
      OR EXISTS (SELECT 1 FROM _log_id WHERE source = '' AND id BETWEEN NEW.low AND NEW.high)
      BEGIN SELECT RAISE(ABORT, 'an event is in the log twice'); END;
CREATE VIEW _event AS
      SELECT seq, source, id, type, time, raw, status, reason, cause, fired FROM _log
      UNION ALL
      SELECT p.seq + e.key, '', json_extract(e.value, '$.id'), json_extract(e.value, '$.type'),
        json_extract(e.value, '$.time'), e.value, 'handled', NULL, NULL,
        coalesce(json_extract(p.fired, '$[' || e.key || ']'), '')
      FROM _log_plain AS p,
        json_each('[' || replace(rtrim(p.text, char(10)), char(10), ',') || ']') AS e;
CREATE INDEX "Counter (n)" ON "Counter" ("n");
COMMIT;
