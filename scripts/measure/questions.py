"""The same questions for everyone, each in its asker's own language."""

NEEDLE_IP = "10.23.44.7"
NEEDLE_GUID = "5f3c9a1e-77aa-4be1-9c0d-0123456789ab"
INFIX = "1e-77aa-4be1-9c0"
PHRASE = "authentication failure"

# What a plain text search looks for, per question it can answer.
TEXT = {"rare address": NEEDLE_IP, "rare GUID": NEEDLE_GUID, "part of a GUID (infix)": INFIX, "phrase, many hits: count": PHRASE}

HUNTS = {
    "rare address": f'"{NEEDLE_IP}"',
    "rare GUID": f'"{NEEDLE_GUID}"',
    "part of a GUID (infix)": f"*{INFIX}*",
    "phrase, many hits: count": f'"{PHRASE}" | summarize n=count()',
    "field and 6 hours: count": "source.ip:10.1.0.1 and @timestamp:[2026-11-01T06:00:00Z to 2026-11-01T12:00:00Z}"
    " | summarize n=count()",
    "top 10 users": "* | summarize n=count() by user.name | sort n desc | take 10",
    "events per hour and kind": "* | summarize n=count() by bin(@timestamp, 1h), event.dataset",
}


# Public rules that are hunted for in all of history, by what makes them easy or hard; below the folder with Sigma's rules.
RETROHUNTS = {
    "parts of a command line": "rules/windows/process_creation/proc_creation_win_hktl_mimikatz_command_line.yml",
    "a regular expression": "rules/windows/process_creation/proc_creation_win_csc_susp_parent.yml",
    "registry keys, often matched": "rules/windows/registry/registry_set/registry_set_asep_reg_keys_modification_currentversion.yml",
    "fields without columns": "rules/windows/builtin/security/win_security_ad_replication_non_machine_account.yml",
    "keywords": "rules/linux/builtin/sshd/lnx_sshd_susp_ssh.yml",
}


def sql(dialect):
    """For `duckdb` and `chdb`, over Vedette's own Parquet files."""
    chdb = dialect == "chdb"
    raw = '"event.original"' if chdb else 'decode("event.original")'
    like = (lambda needle: f"position({raw}, '{needle}') > 0") if chdb else (lambda needle: f"contains({raw}, '{needle}')")
    hour = 'toStartOfHour("@timestamp")' if chdb else "date_trunc('hour', \"@timestamp\")"
    count = "count()" if chdb else "count(*)"
    span = "\"@timestamp\" >= '2026-11-01 06:00:00' and \"@timestamp\" < '2026-11-01 12:00:00'"
    seq = '"vedette.seq"'
    return {
        "rare address": f"SELECT {seq} FROM events WHERE {like(NEEDLE_IP)}",
        "rare GUID": f"SELECT {seq} FROM events WHERE {like(NEEDLE_GUID)}",
        "part of a GUID (infix)": f"SELECT {seq} FROM events WHERE {like(INFIX)}",
        "phrase, many hits: count": f"SELECT {count} FROM events WHERE {like(PHRASE)}",
        "field and 6 hours: count": f"SELECT {count} FROM events WHERE \"source.ip\" = '10.1.0.1' AND {span}",
        "top 10 users": f'SELECT "user.name", {count} AS n FROM events GROUP BY "user.name" ORDER BY n DESC LIMIT 10',
        "events per hour and kind": f'SELECT {hour} AS h, "event.dataset", {count} FROM events GROUP BY h, "event.dataset"',
    }
