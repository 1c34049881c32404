"""What a secret looks like: names of files, and the forms that services give to their tokens.

Covered: the forms below, in any file's bytes, also in UTF-16 and behind JSON's escapes; runs that
look drawn by lot, see `random_runs`.
Not covered: secrets without a form of their own, such as a password in prose; numbers in weights.
"""

import functools
import re
from pathlib import Path

from modeling_ecso.errors_ecso import ECSOInputError

from .random_runs import holds_random_run


SECRET_NAMES = re.compile(
    r"\.env(\..*)?|\.?netrc|_netrc|\.pypirc|\.npmrc|\.pgpass|\.htpasswd|\.git-credentials|"
    r"\.dockercfg|\.dockerconfigjson|\.boto|\.s3cfg|kubeconfig|kaggle\.json|id_[a-z0-9]+|"
    r".*\.(pem|key|p8|p12|pfx|ppk|jks|keystore|kdbx|asc)|service[_-]?account.*\.json|"
    r"(.*[_.-])?(credentials?|secrets?|tokens?)(\.(json|txt|ya?ml|ini|cfg))?",
    re.IGNORECASE,
)

# Kind by kind, each from what its service documents; a mistake shows which one was met.
_FORMS = {
    "Hugging Face token": r"\bhf_[A-Za-z0-9]{30,}|\bhf_(oauth|jwt)_[\w.-]{16,}|"
    r"\bapi_org_[A-Za-z0-9]{30,}",
    "AWS key": r"\b(AKIA|ASIA|ABIA|ACCA|AROA|AIDA)[A-Z0-9]{16}\b|"
    r"(?i:aws.{0,20}secret.{0,20})['\"\s:=]+[A-Za-z0-9/+]{40}\b",
    "Google key": r"\bAIza[\w-]{35}|\bGOCSPX-[\w-]{28}|\bya29\.[\w-]{30,}|\b1//0[\w-]{40,}",
    "GitHub token": r"\bgh[pousr]_[A-Za-z0-9]{36}|\bgithub_pat_\w{50,}",
    "GitLab token": r"\bgl(pat|ptt|rt|dt|oas|soat|ft|agent|imt|cbt|ffct)-[\w-]{20,}",
    "OpenAI or Anthropic key": r"\bsk-[\w-]{32,}",
    "Slack token": r"\bxox[a-z](\.xox[a-z])?-[\w-]{20,}|\bxapp-\d-[\w-]{20,}|"
    r"hooks\.slack\.com/(services|workflows|triggers)/[\w/]{20,}",
    "Stripe key": r"\b[rsp]k_(live|test|prod)_[A-Za-z0-9]{16,}|\bwhsec_[A-Za-z0-9+/=]{24,}",
    "npm token": r"\bnpm_[A-Za-z0-9]{36}|_authToken\s*=\s*[\w-]{20,}",
    "PyPI token": r"\bpypi-[\w-]{50,}",
    "RubyGems key": r"\brubygems_[0-9a-f]{48}",
    "Azure key": r"(AccountKey|SharedAccessKey|SharedAccessSignature)\s*=[\w+/=%& -]{40,}|"
    r"\bsig=[\w%+/]{40,}|\dQ~[\w~.-]{31,34}",
    "JWT": r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}",
    "private key": r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----|PuTTY-User-Key-File-\d|"
    r"\bAGE-SECRET-KEY-1[A-Z0-9]{50,}",
    "Twilio key": r"\b(AC|SK)[0-9a-f]{32}\b",
    "SendGrid key": r"\bSG\.[\w-]{16,}\.[\w-]{32,}",
    "Mailgun or Mailchimp key": r"\bkey-[0-9a-f]{32}\b|\b[0-9a-f]{32}-us\d{1,2}\b",
    "Telegram token": r"\b\d{8,10}:AA[\w-]{32,33}",
    "Discord token": r"\b[MNO][\w-]{22,27}\.[\w-]{6}\.[\w-]{27,}|"
    r"discord(app)?\.com/api/webhooks/\d+/[\w-]{20,}",
    "Docker token": r"\bdckr_(pat|oat)_[\w-]{20,}|\"auths\"\s*:\s*\{",
    "DigitalOcean token": r"\bdo[opr]_v1_[0-9a-f]{64}",
    "Databricks token": r"\bdapi[0-9a-f]{32}",
    "Weights & Biases key": r"(?i:wandb.{0,20})\b[0-9a-f]{40}\b|\bwandb_v\d_\w{40,}",
    "Shopify token": r"\bshp(at|ca|pa|ss)_[0-9a-fA-F]{32}",
    "Square token": r"\bsq0[a-z]{3}-[\w-]{22,}|\bEAAA[\w-]{60}",
    "Atlassian token": r"\bAT(ATT|CTT|STT)3[\w=-]{20,}|\bATBB[\w=-]{20,}",
    "Notion or Linear token": r"\bntn_\w{40,}|\blin_(api|oauth)_\w{32,}",
    "model provider's key": r"\b(gsk_|xai-|pplx-|nvapi-|r8_|fw_|pcsk_|tgp_v1_|csk-)[\w-]{30,}|"
    r"\b(jina_|tvly-(dev-)?|a[ks]-|pa-|fc-|rpa_|e2b_)(?=[A-Za-z]*\d)[A-Za-z0-9]{20,}|"
    r"\blsv2_(pt|sk)_[0-9a-f]{32}|\bsk_[0-9a-f]{40,}",
    "Vault or Terraform token": r"\bhv[sbr]\.[\w-]{24,}|\b\w{14}\.atlasv1\.[\w-]{60,}",
    "Grafana token": r"\bgl(sa|c)_[\w+/=-]{32,}",
    "platform token": r"\b(NRAK-|PMAK-|HRKU-|FlyV1 |figd_|sntry[su]_|sbp_|pul-|dp\.(pt|st|ct)\.|"
    r"pscale_(tkn|pw|oauth)_|tskey-[a-z]+-|fo1_|rnd_|dop_|cfut_|xkeysib-|xsmtpsib-|rdme_|pnu_|sgp_|"
    r"shippo_(live|test)_|EZ[AT]K|duffel_(live|test)_|FLWSECK[_-]|tfp_|ph[cx]_|nfp_|vcp_|tk-us-|"
    r"p8e-|ops_eyJ|NR(II|JS|RA|SP)-|cal_live_)(?=[\w.,+/=-]*\d)[\w.,+/=-]{16,}",
    "Supabase key": r"\bsb_(secret|publishable)_[\w-]{16,}",
    "Bitbucket, Circle or Buildkite token": r"\bCCI(PAT|PRJ)_\w{20,}|\bbk[a-z]{2}_[0-9a-f]{32,}",
    "Dropbox token": r"\bsl\.(u\.)?[\w-]{60,}",
    "Meta token": r"\bEAA[A-Z][A-Za-z0-9]{40,}",
    "Mapbox token": r"\b[sp]k\.eyJ[\w-]{16,}",
    "SonarQube token": r"\bsq[upa]_[0-9a-f]{32,}",
    "Plaid token": r"\b(access|public|link)-(sandbox|development|production)-[0-9a-f-]{36}",
    "Alibaba, Tencent or Yandex key": r"\bLTAI[A-Za-z0-9]{12,}|\bAKID[A-Za-z0-9]{28,}|"
    r"\b(AQVN|YC)[\w-]{35,}|\bt1\.[\w-]{60,}",
    "NuGet or Clojars key": r"\boy2[a-z0-9]{43}\b|\bCLOJARS_[0-9a-z]{40,}",
    "Dynatrace token": r"\bdt0[a-z]\d\d\.[A-Z0-9]{20,}",
    "Okta or Cloudflare token": r"\bSSWS\s+[\w-]{20,}|\bv1\.0-[0-9a-f]{20,}-[0-9a-f]{40,}",
    "Asana token": r"\b\d/\d{16}(/\d{16})?:[0-9a-f]{32}",
    "JFrog key": r"\bAKCp[A-Za-z0-9]{40,}|\bcmVmd[A-Za-z0-9]{40,}",
    "Airtable token": r"\bpat\w{14}\.[0-9a-f]{64}",
    "Kaggle key": r"\bKGAT_\w{16,}|"
    r"\"username\"\s*:\s*\"[^\"]+\"\s*,\s*\"key\"\s*:\s*\"[0-9a-f]{32}\"",
    "password of a netrc": r"\bmachine\s+\S+\s+login\s+\S+\s+password\s+\S+",
    "password in an address": r"\b[a-z][a-z0-9+.-]{1,20}://[^/\s:@\"'<>]+:[^/\s:@\"'<>]{3,}@[\w.-]+",
    "bearer token": r"(?i:authorization\"?\s*[:=]\s*\"?(bearer|basic|token)\s+)[\w.~+/=-]{16,}",
    # Whatever is called a key and has both letters and digits; "<", as in special tokens, ends it.
    "key or password": r"(?i:api[_-]?key|secret[_-]?(access[_-]?)?key|client[_-]?secret|"
    r"access[_-]?token|auth[_-]?token|refresh[_-]?token|session[_-]?token|private[_-]?key[_-]?id|"
    r"(hf|hub|hugging_?face|github|gitlab)[_-]?token|passw(or)?d)[\"']?\s*[:=]\s*[\"']?"
    r"(?=[\w.~+/=-]*\d)(?=[\w.~+/=-]*[A-Za-z])[\w.~+/=-]{16,}",
}
# How JSON may write an ASCII letter.
_ESCAPE = re.compile(rb"\\u00([0-7][0-9A-Fa-f])|\\([\"/\\])")
_PATTERNS = {kind: re.compile(form.encode()) for kind, form in _FORMS.items()}


def kind_of_secret(content: bytes, is_vocabulary: bool = False) -> str | None:
    """Return what kind of secret is in a content, if there is one.

    Args:
        content: Bytes of a file.
        is_vocabulary: Whether it is a list of tokens, of which some look drawn by lot.
    """
    for form in _readings(content):
        for kind, pattern in _PATTERNS.items():
            if pattern.search(form):
                return kind
        if not is_vocabulary and holds_random_run(form):
            return "a long run of random letters and digits"
    return None


def _readings(content: bytes) -> list[bytes]:
    """Return a content as it is and as whoever decodes it would read it."""
    readings = [content]
    if b"\0" in content:
        readings.append(content.replace(b"\0", b""))  # UTF-16
    if b"\\" in content:
        readings.append(_ESCAPE.sub(_unescaped, content))
    return readings


def _unescaped(escape: re.Match[bytes]) -> bytes:
    number = escape[1]
    return bytes([int(number, 16)]) if number else escape[2]


@functools.lru_cache
def _kind_in_file(file: Path, modified_ns: int, size: int, is_vocabulary: bool) -> str | None:
    return kind_of_secret(file.read_bytes(), is_vocabulary)


def refuse_secret_name(file: Path, allowed: bool) -> None:
    """Let a file pass unless its name is that of a secret.

    Args:
        file: Any file.
        allowed: Whether models have a file of this name, such as ``added_tokens.json``.

    Raises:
        ECSOInputError: It is.
    """
    if not allowed and SECRET_NAMES.fullmatch(file.name):
        raise ECSOInputError(f"{file}: its name is that of a secret; take it out of the folder")


def refuse_secret(file: Path, content: bytes | None = None, is_vocabulary: bool = False) -> None:
    """Let a file pass unless a secret is in it.

    Args:
        file: Any file.
        content: What to search of it; None: all.
        is_vocabulary: Whether it is a list of tokens, of which some look drawn by lot.

    Raises:
        ECSOInputError: There is one; says which file and kind, and never what is in it.
    """
    if content is not None:
        kind = kind_of_secret(content, is_vocabulary)
    else:
        state = file.stat()
        kind = _kind_in_file(file.resolve(), state.st_mtime_ns, state.st_size, is_vocabulary)
    if kind is not None:
        raise ECSOInputError(
            f"{file}: holds what looks like a token or a private key ({kind}); take it out"
        )
