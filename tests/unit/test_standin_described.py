"""The stand-ins that are described as data: random, tls, gcp."""

import string

import bcrypt
import pytest
from cryptography import x509 as pki
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key

from testbed.engine import description, judging, x509
from testbed.engine.comparing import changes
from testbed.engine.description import Input, ResourceType
from testbed.engine.gcp import GcpStandIn
from testbed.engine.randomness import RandomStandIn, text
from testbed.engine.tls import TlsStandIn
from testbed.engine.values import UNKNOWN, Properties, Secret
from testbed.progress import Failure

BUCKET = "gcp:storage/bucket:Bucket"
PASSWORD = "random:index/randomPassword:RandomPassword"


def reasons(kind: ResourceType, inputs: Properties) -> dict[str, str]:
    return {wrong.property: wrong.reason for wrong in judging.refusals(kind, inputs, "the-file.yaml")}


def bucket(**inputs: object) -> dict[str, str]:
    good = {"name": "logs", "location": "EU", "project": "p"}
    return reasons(GcpStandIn().described(BUCKET), {**good, **inputs})


def test_a_complete_bucket_is_accepted() -> None:
    assert bucket(storageClass="NEARLINE", versioning={"enabled": True}, labels={"team": "data"}) == {}


def test_an_unknown_property_is_refused_by_name_and_says_where_to_add_it() -> None:
    wrong = bucket(locatoin="EU")
    assert set(wrong) == {"locatoin"}
    assert "the-file.yaml" in wrong["locatoin"]


def test_an_unknown_property_deep_inside_is_refused_by_its_path() -> None:
    assert set(bucket(lifecycleRules=[{"action": {"type": "Delete"}, "condition": {"aeg": 1}}])) == {
        "lifecycleRules[0].condition.aeg"
    }


def test_a_missing_property_is_refused() -> None:
    assert "required" in reasons(GcpStandIn().described(BUCKET), {"name": "logs", "project": "p"})["location"]


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("storageClass", "COLD", "COLDLINE"),
        ("forceDestroy", "yes", "boolean"),
        ("name", "Upper", "form"),
        ("name", "ab", "at least 3"),
        ("location", 7, "string"),
        ("versioning", {}, "required"),
    ],
)
def test_a_wrong_value_is_refused_with_what_would_be_right(key: str, value: object, says: str) -> None:
    assert says in " ".join(bucket(**{key: value}).values())


def test_a_value_that_is_not_known_yet_is_not_judged() -> None:
    assert bucket(storageClass=UNKNOWN, versioning={"enabled": UNKNOWN}) == {}


def test_a_secret_value_is_judged_but_not_shown() -> None:
    kind = ResourceType(source="s", inputs={"key": Input(type="string", secret=True, allowed=("a",))})
    wrong = reasons(kind, {"key": Secret("swordfish")})["key"]
    assert "not allowed" in wrong
    assert "swordfish" not in wrong


def test_a_type_without_an_entry_is_refused_with_the_mend() -> None:
    with pytest.raises(Failure, match=r"gcp:pubsub/topic:Topic.*rules/gcp\.yaml"):
        GcpStandIn().described("gcp:pubsub/topic:Topic")


@pytest.mark.parametrize(
    ("old", "new", "replaced"),
    [
        ({"location": "EU"}, {"location": "US"}, True),
        ({"storageClass": "STANDARD"}, {"storageClass": "NEARLINE"}, False),
        ({"hierarchicalNamespace": {"enabled": True}}, {"hierarchicalNamespace": {"enabled": False}}, True),
        ({"versioning": {"enabled": True}}, {"versioning": {"enabled": False}}, False),
        ({"labels": {"team": "a"}}, {"labels": {"team": "b"}}, False),
    ],
)
def test_only_what_the_rules_name_replaces_a_bucket(old: Properties, new: Properties, replaced: bool) -> None:
    assert list(changes(GcpStandIn().described(BUCKET), old, new).values()) == [replaced]


def test_computed_outputs_follow_the_inputs() -> None:
    account = "gcp:serviceaccount/account:Account"
    id_, outputs = GcpStandIn().make(account, {"accountId": "airflow", "project": "p"})
    assert outputs["email"] == "airflow@p.iam.gserviceaccount.com"
    assert id_ == "projects/p/serviceAccounts/airflow@p.iam.gserviceaccount.com"


def test_every_rules_file_names_its_sources() -> None:
    for name in ("gcp", "random", "tls"):
        loaded = description.load(name)
        assert loaded.source
        assert all(kind.source for kind in loaded.types.values())


def test_a_password_has_its_length_its_minima_and_only_its_characters() -> None:
    inputs = {"length": 40, "special": True, "overrideSpecial": "-", "minUpper": 3, "minNumeric": 4, "minSpecial": 5}
    made = text(inputs)
    assert len(made) == 40
    assert set(made) <= set(string.ascii_letters + string.digits + "-")
    assert sum(c.isupper() for c in made) >= 3
    assert sum(c.isdigit() for c in made) >= 4
    assert made.count("-") >= 5


def test_two_passwords_differ() -> None:
    assert text({"length": 30}) != text({"length": 30})


def test_the_hash_of_a_password_is_its_own() -> None:
    _, outputs = RandomStandIn().make(PASSWORD, {"length": 12})
    assert bcrypt.checkpw(outputs["result"].encode(), outputs["bcryptHash"].encode())


def test_minima_that_do_not_fit_into_the_length_are_refused() -> None:
    (wrong,) = RandomStandIn().check(PASSWORD, {"length": 3, "minUpper": 2, "minLower": 2})
    assert wrong.property == "length"


def test_a_password_without_any_kind_of_character_is_refused() -> None:
    none = dict.fromkeys(("upper", "lower", "numeric", "special"), False)
    assert RandomStandIn().check(PASSWORD, {"length": 3, **none})


def test_keepers_replace_a_password() -> None:
    old, new = {"keepers": {"version": "1"}}, {"keepers": {"version": "2"}}
    assert list(changes(RandomStandIn().described(PASSWORD), old, new).values()) == [True]


def test_an_integer_stays_in_its_range() -> None:
    made = {RandomStandIn().make("x:RandomInteger", {"min": 3, "max": 5})[1]["result"] for _ in range(200)}
    assert made == {3, 4, 5}


@pytest.mark.parametrize(("algorithm", "curve"), [("ECDSA", "P256"), ("ECDSA", "P384"), ("ED25519", "P224")])
def test_a_key_comes_in_all_forms_that_hold_the_same_key(algorithm: str, curve: str) -> None:
    shown = x509.key_properties(x509.generate(algorithm, 2048, curve))
    keys = [
        load_pem_private_key(shown["privateKeyPem"].encode(), None),
        load_pem_private_key(shown["privateKeyPemPkcs8"].encode(), None),
        load_ssh_private_key(shown["privateKeyOpenssh"].encode(), None),
    ]
    assert len({x509.key_properties(key)["publicKeyPem"] for key in keys if isinstance(key, x509.PrivateKey)}) == 1
    assert shown["publicKeyFingerprintSha256"].startswith("SHA256:")


def test_a_curve_that_openssh_does_not_know_has_no_openssh_form() -> None:
    assert x509.key_properties(x509.generate("ECDSA", 2048, "P224"))["privateKeyOpenssh"] == ""


def certificate_authority() -> tuple[str, str]:
    key = x509.key_properties(x509.generate("ECDSA", 2048, "P256"))["privateKeyPem"]
    inputs = {
        "privateKeyPem": key,
        "subject": {"commonName": "testers", "organization": "o"},
        "validityPeriodHours": 24,
        "isCaCertificate": True,
        "allowedUses": ["cert_signing", "digital_signature"],
    }
    return key, TlsStandIn().make("tls:index/selfSignedCert:SelfSignedCert", inputs)[1]["certPem"]


def test_a_locally_signed_certificate_is_verified_by_its_authority() -> None:
    authority_key, authority = certificate_authority()
    key = x509.key_properties(x509.generate("ECDSA", 2048, "P256"))["privateKeyPem"]
    request = x509.request_pem({"dnsNames": ["a.example"], "ipAddresses": ["127.0.0.1"]}, x509.private_key(key, "k"))
    _, made = TlsStandIn().make(
        "tls:index/locallySignedCert:LocallySignedCert",
        {
            "certRequestPem": request,
            "caPrivateKeyPem": authority_key,
            "caCertPem": authority,
            "validityPeriodHours": 12,
            "allowedUses": ["server_auth"],
        },
    )
    certificate = pki.load_pem_x509_certificate(made["certPem"].encode())
    certificate.verify_directly_issued_by(pki.load_pem_x509_certificate(authority.encode()))
    names = certificate.extensions.get_extension_for_class(pki.SubjectAlternativeName).value
    assert names.get_values_for_type(pki.DNSName) == ["a.example"]
    assert made["readyForRenewal"] is False


def test_a_certificate_in_its_renewal_period_is_replaced() -> None:
    kind = "tls:index/selfSignedCert:SelfSignedCert"
    state = {"validityEndTime": "2000-01-01T00:00:00Z"}
    assert TlsStandIn().must_replace(kind, state, {}) == ["readyForRenewal"]


def test_text_that_is_no_key_is_refused_without_showing_it() -> None:
    with pytest.raises(Failure, match="caPrivateKeyPem") as refused:
        x509.private_key("swordfish", "caPrivateKeyPem")
    assert "swordfish" not in str(refused.value)


def test_an_rsa_key_signs() -> None:
    key = x509.generate("RSA", 1024, "P224")
    assert isinstance(key, rsa.RSAPrivateKey)
    assert key.key_size == 1024
    assert x509.key_properties(key)["privateKeyPem"].startswith("-----BEGIN RSA PRIVATE KEY-----")
