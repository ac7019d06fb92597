"""The engine's base configuration, and what a route's table says, in the words of the engine's own files."""

from __future__ import annotations

from lbproxy.config.model import WafConfig

BASE = """
SecRequestBodyAccess On
SecRequestBodyLimit 1048576
SecRequestBodyNoFilesLimit 1048576
SecRequestBodyLimitAction ProcessPartial
SecRequestBodyJsonDepthLimit 100
SecPcreMatchLimit 100000
SecPcreMatchLimitRecursion 100000
SecAuditEngine Off
SecDebugLogLevel 0
SecArgumentSeparator &
SecCookieFormat 0
SecTmpDir /tmp/
SecDataDir /tmp/
SecUploadKeepFiles Off
SecRule REQUEST_HEADERS:Content-Type "(?:application(?:/soap\\+|/)|text/)xml" \
    "id:200000,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=XML"
SecRule REQUEST_HEADERS:Content-Type "^application/(?:[a-z0-9.+-]+\\+)?json" \
    "id:200001,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON"
SecRule &REQUEST_HEADERS:Content-Type "@gt 1" \
    "id:200011,phase:1,t:none,log,deny,status:400,msg:'The body is said to be of several types',severity:2"
SecRule REQUEST_METHOD "@streq POST" "id:200012,phase:1,t:none,pass,nolog,chain"
SecRule &REQUEST_HEADERS:Content-Type "@eq 0" "t:none,ctl:requestBodyProcessor=URLENCODED"
SecRule REQUEST_METHOD "@streq POST" "id:200013,phase:1,t:none,pass,nolog,chain"
SecRule REQUEST_HEADERS:Content-Type "@rx ^\\s*$" "t:none,ctl:requestBodyProcessor=URLENCODED"
SecRule REQBODY_ERROR "!@eq 0" \
    "id:200002,phase:2,t:none,log,deny,status:400,msg:'The body cannot be read as what it says it is',severity:2"
SecRule MULTIPART_STRICT_ERROR "!@eq 0" \
    "id:200003,phase:2,t:none,log,deny,status:400,msg:'The parts of the body can be read in several ways',severity:2"
"""
"""Without it no body is read as JSON or XML, and none that is broken is noticed. One that is posted and whose type nobody tells
is a form to some applications (Rack), where one that is put is a file; of one of two types a backend may read the other. The name
of a value of JSON grows with its depth: 900 values in 9000 lists, 20 KB, take the Core Rule Set more than a minute."""
ANSWERS = """
SecResponseBodyAccess On
SecResponseBodyLimit 1048576
SecResponseBodyLimitAction ProcessPartial
"""
"""Of which types bodies are looked at, a worker decides: SecResponseBodyMimeType would leave out rules that add up what was found.
"""
MODES = {"detect": "DetectionOnly", "block": "On"}


def before(settings: WafConfig) -> str:
    """In front of the rules."""
    mode = f"SecRuleEngine {MODES[settings.mode]}\n"
    said = (
        f"setvar:tx.paranoia_level={settings.paranoia},setvar:tx.executing_paranoia_level={settings.paranoia},"
        f"setvar:tx.inbound_anomaly_score_threshold={settings.threshold},"
        f"setvar:tx.outbound_anomaly_score_threshold={settings.response_threshold}"
    )
    answers = ANSWERS if settings.responses else "SecResponseBodyAccess Off\n"
    return f'{mode}{BASE}{answers}SecAction "id:200010,phase:1,nolog,pass,t:none,{said}"\n'


def after(settings: WafConfig) -> str:
    """Behind the rules: what is left out of them."""
    lines = [f"SecRuleRemoveById {rule}" for rule in settings.exclude_rules]
    lines += [f'SecRuleRemoveByTag "{tag}"' for tag in settings.exclude_tags]
    lines += [f'SecRuleUpdateTargetByTag "OWASP_CRS" "!ARGS:{name}"' for name in settings.exclude_arguments]
    return "".join(f"{line}\n" for line in lines)
