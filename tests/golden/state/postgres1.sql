CREATE SCHEMA older;
CREATE TYPE older._money AS (
	amount numeric,
	currency text
);
CREATE FUNCTION older._log_plain_unique() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
        IF EXISTS (SELECT 1 FROM (SELECT low FROM _log_plain WHERE high >= NEW.low
                                  ORDER BY high LIMIT 1) AS next WHERE low <= NEW.high)
          OR EXISTS (SELECT 1 FROM _log_id WHERE source = '' AND id BETWEEN NEW.low AND NEW.high)
        THEN RAISE unique_violation USING MESSAGE = 'an event is in the log twice'; END IF;
        RETURN NEW; END $$;
CREATE TABLE older."Counter" (
    id text NOT NULL COLLATE pg_catalog."C",
    n numeric,
    pad text COLLATE pg_catalog."C"
);
CREATE TABLE older._chain (
    last_seq bigint NOT NULL,
    digest text NOT NULL
);
CREATE TABLE older._clock (
    id text NOT NULL COLLATE pg_catalog."C",
    at timestamp with time zone,
    "order" numeric,
    spec text COLLATE pg_catalog."C",
    path text COLLATE pg_catalog."C",
    format numeric
);
CREATE TABLE older._dropped (
    "table" text NOT NULL COLLATE pg_catalog."C",
    "column" text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    type text NOT NULL,
    value text NOT NULL
);
CREATE TABLE older._log (
    seq bigint NOT NULL,
    source text,
    id text,
    type text,
    "time" text,
    raw text,
    status text,
    reason text,
    cause bigint,
    fired text
);
CREATE TABLE older._log_plain (
    seq bigint NOT NULL,
    count bigint NOT NULL,
    low text NOT NULL COLLATE pg_catalog."C",
    high text NOT NULL COLLATE pg_catalog."C",
    text text NOT NULL,
    fired text
);
CREATE VIEW older._event AS
 SELECT _log.seq,
    _log.source,
    _log.id,
    _log.type,
    _log."time",
    _log.raw,
    _log.status,
    _log.reason,
    _log.cause,
    _log.fired
   FROM older._log
UNION ALL
 SELECT ((p.seq + e.place) - 1) AS seq,
    ''::text AS source,
    ((e.raw)::json ->> 'id'::text) AS id,
    ((e.raw)::json ->> 'type'::text) AS type,
    ((e.raw)::json ->> 'time'::text) AS "time",
    e.raw,
    'handled'::text AS status,
    NULL::text AS reason,
    NULL::bigint AS cause,
    COALESCE(((p.fired)::json ->> ((e.place - 1))::integer), ''::text) AS fired
   FROM older._log_plain p,
    LATERAL string_to_table(rtrim(p.text, chr(10)), chr(10)) WITH ORDINALITY e(raw, place);
CREATE TABLE older._log_id (
    source text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    seq bigint NOT NULL,
    status text NOT NULL
);
CREATE TABLE older._meta (
    name text NOT NULL COLLATE pg_catalog."C",
    value text NOT NULL
);
INSERT INTO older."Counter" VALUES ('c0', 3, '{}');
INSERT INTO older."Counter" VALUES ('all', 6, '{}');
INSERT INTO older."Counter" VALUES ('c3', 6, '{}');
INSERT INTO older._chain VALUES (3, 'fba8e9f5db24d707ff7cedbc7cf9cb5a709d800ab331756c3422eebba6657432');
INSERT INTO older._chain VALUES (6, '0870273c177d88a00164ccbae8c55016238bb1594f15e3c66df26fb38e0c7c7b');
INSERT INTO older._chain VALUES (16, '5be874c0f3334fcead7299476c4f2277ded2594c5ef9d8dd13df0cb3a3f91bd9');
INSERT INTO older._clock VALUES ('clock', '2026-01-05 09:00:00.25+00', 7, 'shop', 'shop.biz', 1);
INSERT INTO older._log VALUES (1, 's', 'e000000001', 'A.b', '2026-01-31T09:00:00Z', '{}', 'handled', NULL, NULL, NULL);
INSERT INTO older._log VALUES (2, 's', 'e000000002', 'A.b', '2026-01-31T09:00:00Z', '{}', 'handled', NULL, NULL, NULL);
INSERT INTO older._log VALUES (3, 's', 'e000000003', 'A.b', '2026-01-31T09:00:00Z', '{}', 'handled', NULL, NULL, NULL);
INSERT INTO older._log VALUES (4, 's', 'e000000004', 'A.b', '2026-01-31T09:00:00Z', '{}', 'handled', NULL, NULL, NULL);
INSERT INTO older._log VALUES (5, 's', 'e000000005', 'A.b', '2026-01-31T09:00:00Z', '{}', 'handled', NULL, NULL, NULL);
INSERT INTO older._log VALUES (6, 's', 'e000000006', 'A.b', '2026-01-31T09:00:00Z', '{}', 'handled', NULL, NULL, NULL);
INSERT INTO older._log_id VALUES ('s', 'e000000001', 1, 'handled');
INSERT INTO older._log_id VALUES ('s', 'e000000002', 2, 'handled');
INSERT INTO older._log_id VALUES ('s', 'e000000003', 3, 'handled');
INSERT INTO older._log_id VALUES ('s', 'e000000004', 4, 'handled');
INSERT INTO older._log_id VALUES ('s', 'e000000005', 5, 'handled');
INSERT INTO older._log_id VALUES ('s', 'e000000006', 6, 'handled');
INSERT INTO older._log_plain VALUES (7, 10, 'e000000007', 'e000000016', '{"id":"e000000007","type":"A.b","time":"2026-01-31T09:00:00Z"}
{"id":"e000000008","type":"A.b","time":"2026-01-31T09:00:00Z"}
{"id":"e000000009","type":"A.b","time":"2026-01-31T09:00:00Z"}
{"id":"e000000010","type":"A.b","time":"2026-01-31T09:00:00Z"}
{"id":"e000000011","type":"A.b","time":"2026-01-31T09:00:00Z"}
{"id":"e000000012","type":"A.b","time":"2026-01-31T09:00:00Z"}
{"id":"e000000013","type":"A.b","time":"2026-01-31T09:00:00Z"}
{"id":"e000000014","type":"A.b","time":"2026-01-31T09:00:00Z"}
{"id":"e000000015","type":"A.b","time":"2026-01-31T09:00:00Z"}
{"id":"e000000016","type":"A.b","time":"2026-01-31T09:00:00Z"}
', NULL);
INSERT INTO older._meta VALUES ('application', 'bizrun');
INSERT INTO older._meta VALUES ('format', '1');
INSERT INTO older._meta VALUES ('table:Counter', '{"name":"Counter","key":"id","columns":[["id","text",false],["n","integer",false],["pad","text",false]],"indexes":[["n"]]}');
INSERT INTO older._meta VALUES ('table:_clock', '{"name":"_clock","key":"id","columns":[["id","text",false],["at","time",false],["order","integer",false],["spec","text",false],["path","text",false],["format","integer",false]],"indexes":[]}');
INSERT INTO older._meta VALUES ('commits', '4');
ALTER TABLE ONLY older."Counter"
    ADD CONSTRAINT "Counter key" PRIMARY KEY (id);
ALTER TABLE ONLY older._chain
    ADD CONSTRAINT _chain_pkey PRIMARY KEY (last_seq);
ALTER TABLE ONLY older._clock
    ADD CONSTRAINT "_clock key" PRIMARY KEY (id);
ALTER TABLE ONLY older._dropped
    ADD CONSTRAINT _dropped_pkey PRIMARY KEY ("table", "column", key);
ALTER TABLE ONLY older._log_id
    ADD CONSTRAINT _log_id_pkey PRIMARY KEY (source, id);
ALTER TABLE ONLY older._log
    ADD CONSTRAINT _log_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY older._log_plain
    ADD CONSTRAINT _log_plain_high_key UNIQUE (high);
ALTER TABLE ONLY older._log_plain
    ADD CONSTRAINT _log_plain_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY older._meta
    ADD CONSTRAINT _meta_pkey PRIMARY KEY (name);
CREATE INDEX "Counter (n)" ON older."Counter" USING btree (n);
CREATE TRIGGER _log_plain_unique BEFORE INSERT ON older._log_plain FOR EACH ROW EXECUTE FUNCTION older._log_plain_unique();
