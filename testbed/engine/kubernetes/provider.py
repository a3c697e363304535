"""The stand-in for ``kubernetes``: the protocol's calls, each turned into calls to a real API server."""

import secrets
from importlib.metadata import version

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2

from testbed.engine.diffing import differences, parse_path
from testbed.engine.kubernetes import configuration, objects
from testbed.engine.kubernetes.api import ApiError, NoSuchKindError, UnreachableError
from testbed.engine.kubernetes.configuration import Settings
from testbed.engine.kubernetes.identity import reference, refusals
from testbed.engine.kubernetes.objects import annotation, gvk, id_of, name_of, title
from testbed.engine.kubernetes.ownership import without_ignored
from testbed.engine.kubernetes.rules import matches, replacing_paths, rules
from testbed.engine.kubernetes.waiting import NotReadyError, Wait, errors_as_failures
from testbed.engine.servicer import InitError, Refusal, Session, StandIn, check_response, diff_response
from testbed.engine.values import Properties, Value, from_struct, has_unknown, plain, secret_like, to_struct
from testbed.progress import Failure


class KubernetesStandIn(StandIn):
    """It applies server-side, as pulumi-kubernetes does, and waits as it does; see ``rules/kubernetes.yaml``."""

    package = "kubernetes"

    def __init__(self, kubeconfig: str | None = None) -> None:
        """``kubeconfig``: a path or content, for providers that name none themselves."""
        super().__init__()
        self.version = version("pulumi-kubernetes")
        self._kubeconfig = kubeconfig

    # -- configuration

    def check_config(self, news: Properties) -> list[Refusal]:
        return configuration.check(news)

    def diff_config(self, old: Properties, new: Properties) -> tuple[list[str], list[str]]:
        return configuration.diff(old, new)

    def configure(self, session: Session, config: Properties) -> Settings:
        settings = configuration.settings(config, self._kubeconfig)
        if not settings.delete_unreachable:
            settings.api.check()
        return settings

    def _settings(self, context: grpc.ServicerContext) -> tuple[Session, Settings]:
        session = self.session(context)
        if not isinstance(session.extra, Settings):
            raise Failure("the kubernetes stand-in was asked before it was configured. Mend: run the command again.")
        return session, session.extra

    # -- check and diff

    def Check(  # noqa: N802
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        def check() -> provider_pb2.CheckResponse:
            kind = request.urn.split("::")[2].rsplit("$", 1)[-1]
            news, olds = from_struct(request.news), from_struct(request.olds)
            if wrong := refusals(kind, news):
                return check_response(news, wrong)
            _, settings = self._settings(context)
            resource = request.urn.rsplit("::", 1)[1]
            inputs = objects.assign_name(objects.normalized(news), olds, resource, request.randomSeed)
            return check_response(_with_namespace(inputs, settings), [])

        return self.guarded(context, check)

    def Diff(  # noqa: N802
        self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext
    ) -> provider_pb2.DiffResponse:
        def diff() -> provider_pb2.DiffResponse:
            _, settings = self._settings(context)
            state = from_struct(request.olds)
            recorded = from_struct(request.old_inputs) or state.get(objects.INPUTS, {})
            old = plain(objects.normalized(recorded))
            new = plain(objects.normalized(from_struct(request.news)))
            ignored = [parse_path(text) for text in request.ignoreChanges]
            patterns = replacing_paths(
                new, config_maps_mutable=settings.config_maps_mutable, secrets_mutable=settings.secrets_mutable
            )
            changes = {
                change: any(matches(p, change.path, _at(new, change.path) or _at(old, change.path)) for p in patterns)
                for change in differences(old, new)
                if not any(matches(p, change.path, None) for p in ignored)
                and change.path[0] not in ("apiVersion", "status")
            }
            more = self._unready(settings, new, state)
            same_place = id_of(new) == str(request.id) and bool(name_of(new))
            fixed = same_place and annotation(new, objects.AUTONAMED) != "true"
            return diff_response(changes, more, delete_first=fixed and (bool(more) or any(changes.values())))

        return self.guarded(context, diff)

    def _unready(self, settings: Settings, new: Properties, state: Properties) -> list[str]:
        """A Job that did not succeed is replaced where its annotation asks for it."""
        if new.get("kind") != "Job" or annotation(new, objects.REPLACE_UNREADY) != "true":
            return []
        live = settings.api.get(plain(state))
        done = live is not None and any(
            condition.get("type") == "Complete" and condition.get("status") == "True"
            for condition in (live.get("status") or {}).get("conditions") or []
        )
        return [] if live is None or done else [f'metadata.annotations["{objects.REPLACE_UNREADY}"]']

    # -- create and update

    def Create(  # noqa: N802
        self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CreateResponse:
        def create() -> provider_pb2.CreateResponse:
            session, settings = self._settings(context)
            inputs = from_struct(request.properties)
            if request.preview:
                return provider_pb2.CreateResponse(properties=to_struct(self._preview_create(settings, inputs)))
            manager = annotation(inputs, objects.PATCH_FIELD_MANAGER) or f"pulumi-kubernetes-{secrets.token_hex(4)}"
            live = self._create(session, settings, request.urn, inputs, manager)
            state = self._await(session, settings, request.urn, request.timeout, inputs, live, manager)
            return provider_pb2.CreateResponse(id=id_of(live), properties=to_struct(state))

        return self.guarded(context, create)

    def _preview_create(self, settings: Settings, inputs: Properties) -> Properties:
        if has_unknown(inputs):
            return inputs
        try:
            live = settings.api.apply(objects.manifest(inputs), "pulumi-kubernetes-preview", force=True, dry_run=True)
        except ApiError as error:
            immutable = error.code == 422 and "immutable" in error.message
            if error.code in (403, 404, 409) or immutable:
                return inputs  # its namespace or kind will come first, or a replacement takes the old one away
            raise errors_as_failures(error, title(inputs)) from error
        return objects.preview_state(inputs, live, created=True)

    def _create(self, session: Session, settings: Settings, urn: str, inputs: Properties, manager: str) -> Properties:
        body = objects.manifest(inputs)
        for attempt in range(1, 6):
            try:
                if not settings.upsert and (there := settings.api.get(body)):
                    raise _exists(there)
                return settings.api.apply(body, manager, force=_forced(settings, body), dry_run=False)
            except ApiError as error:
                if error.code != 404 or attempt == 5:
                    raise errors_as_failures(error, title(inputs)) from error
                session.engine.status(urn, f"Retry #{attempt}; creation failed: {error.message}")
                if session.cancelled.wait(min(2 ** (attempt - 1), 4)):
                    raise Failure(f"{title(inputs)}: creating it was cancelled") from error
        raise AssertionError("the last attempt returns or raises")

    def Update(  # noqa: N802
        self, request: provider_pb2.UpdateRequest, context: grpc.ServicerContext
    ) -> provider_pb2.UpdateResponse:
        def update() -> provider_pb2.UpdateResponse:
            session, settings = self._settings(context)
            state, inputs = from_struct(request.olds), from_struct(request.news)
            if request.preview and has_unknown(inputs):
                return provider_pb2.UpdateResponse(properties=to_struct(inputs))
            manager = annotation(inputs, objects.PATCH_FIELD_MANAGER) or str(
                state.get(objects.FIELD_MANAGER) or f"pulumi-kubernetes-{secrets.token_hex(4)}"
            )
            try:
                live = self._update(settings, inputs, manager, list(request.ignoreChanges), request.preview)
            except NoSuchKindError as error:
                if request.preview:
                    return provider_pb2.UpdateResponse(properties=to_struct(inputs))
                raise errors_as_failures(error, title(inputs)) from error
            except ApiError as error:
                if request.preview and error.code == 403:
                    return provider_pb2.UpdateResponse(properties=to_struct(inputs))
                raise errors_as_failures(error, title(inputs)) from error
            if request.preview:
                shown = objects.preview_state(inputs, live, created=False)
                return provider_pb2.UpdateResponse(properties=to_struct(shown))
            new = self._await(session, settings, request.urn, request.timeout, inputs, live, manager)
            return provider_pb2.UpdateResponse(properties=to_struct(new))

        return self.guarded(context, update)

    def _update(
        self, settings: Settings, inputs: Properties, manager: str, ignored: list[str], preview: bool
    ) -> Properties:
        body = objects.manifest(inputs)
        live = settings.api.get(body)
        if live is None:
            raise Failure(
                f"{title(inputs)} was deleted outside of the engine. Mend: `pulumi refresh`, then run it again: it is "
                "created anew."
            )
        body = without_ignored(body, live, manager, [parse_path(text) for text in ignored])
        return settings.api.apply(body, manager, force=_forced(settings, body), dry_run=preview)

    def _await(
        self,
        session: Session,
        settings: Settings,
        urn: str,
        timeout: float,
        inputs: Properties,
        live: Properties,
        manager: str,
    ) -> Properties:
        if annotation(inputs, objects.SKIP_AWAIT) == "true":
            return objects.state(inputs, live, manager)
        wait = self._wait(session, settings, urn, timeout, inputs)
        try:
            return objects.state(inputs, wait.until_ready(live), manager)
        except NotReadyError as error:
            raise InitError(id_of(live), objects.state(inputs, error.live, manager), error.reasons) from error
        except (ApiError, Failure) as error:
            reasons = [f"{title(live)} was applied, but waiting for it failed: {error}"]
            raise InitError(id_of(live), objects.state(inputs, live, manager), reasons) from error

    def _wait(self, session: Session, settings: Settings, urn: str, timeout: float, inputs: Properties) -> Wait:
        asked = annotation(inputs, objects.TIMEOUT_SECONDS)
        seconds = timeout or (float(asked) if asked.isdigit() else rules().timeout(gvk(inputs)))
        return Wait(settings.api, session.cancelled, lambda text: session.engine.status(urn, text), seconds)

    # -- read and delete

    def Read(  # noqa: N802
        self, request: provider_pb2.ReadRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ReadResponse:
        def read() -> provider_pb2.ReadResponse:
            session, settings = self._settings(context)
            state = from_struct(request.properties)
            inputs = from_struct(request.inputs) or state.get(objects.INPUTS, {})
            try:
                live = settings.api.get(reference(request.urn, request.id, state or inputs))
            except NoSuchKindError:
                live = None
            except UnreachableError:
                if settings.delete_unreachable:
                    return provider_pb2.ReadResponse()
                raise
            if live is None:
                return provider_pb2.ReadResponse()
            manager = str(state.get(objects.FIELD_MANAGER) or f"pulumi-kubernetes-{secrets.token_hex(4)}")
            if inputs:
                now = objects.inputs_from_live(plain(objects.normalized(inputs)), live)
            else:  # an import, or a look-up by `get`
                now = objects.manifest({key: value for key, value in live.items() if key != "status"})
            secret: Properties = objects.normalized(secret_like(now, inputs))
            shown = objects.state(secret, live, manager, str(state.get(objects.INITIAL_API_VERSION) or ""))
            if inputs and annotation(inputs, objects.SKIP_AWAIT) != "true":
                wait = self._wait(session, settings, request.urn, request.timeout, inputs)
                if reasons := wait.now(live):
                    raise InitError(request.id, shown, reasons, secret)
            return provider_pb2.ReadResponse(id=request.id, properties=to_struct(shown), inputs=to_struct(secret))

        return self.guarded(context, read)

    def Delete(  # noqa: N802
        self, request: provider_pb2.DeleteRequest, context: grpc.ServicerContext
    ) -> empty_pb2.Empty:
        def delete() -> empty_pb2.Empty:
            session, settings = self._settings(context)
            state = from_struct(request.properties)
            inputs = from_struct(request.old_inputs) or state.get(objects.INPUTS, {})
            try:
                self._delete(session, settings, request, state, inputs)
            except NoSuchKindError:
                pass  # with its definition all objects of the kind are gone
            except UnreachableError:
                if not settings.delete_unreachable:
                    raise
            except ApiError as error:
                raise errors_as_failures(error, f"deleting {title(plain(state))}") from error
            return empty_pb2.Empty()

        return self.guarded(context, delete)

    def _delete(
        self,
        session: Session,
        settings: Settings,
        request: provider_pb2.DeleteRequest,
        state: Properties,
        inputs: Properties,
    ) -> None:
        target = reference(request.urn, request.id, state)
        live = settings.api.get(target)
        uid = (plain(state).get("metadata") or {}).get("uid")
        if live is None or (uid and live["metadata"]["uid"] != uid):
            return
        policy = {"orphan": "Orphan", "background": "Background"}
        asked = annotation(inputs, objects.DELETION_PROPAGATION).lower()
        settings.api.delete(live, policy.get(asked, "Foreground"), live["metadata"]["uid"])
        skip = annotation(inputs, objects.SKIP_AWAIT) == "true"
        if skip and gvk(live) in rules().delete_unwaited:
            return
        wait = self._wait(session, settings, request.urn, request.timeout, inputs)
        try:
            wait.until_gone(live)
        except NotReadyError as error:
            manager = str(state.get(objects.FIELD_MANAGER) or "")
            shown = objects.state(inputs, error.live, manager)
            raise InitError(request.id, shown, error.reasons) from error


def _with_namespace(inputs: Properties, settings: Settings) -> Properties:
    meta = inputs.get("metadata")
    if not isinstance(meta, dict) or meta.get("namespace"):
        return inputs
    try:
        namespaced = settings.api.resource(str(inputs["apiVersion"]), str(inputs["kind"])).namespaced
    except NoSuchKindError:
        namespaced = True  # a kind that is yet to be defined; the server corrects it
    return {**inputs, "metadata": {**meta, "namespace": settings.namespace}} if namespaced else inputs


def _forced(settings: Settings, body: Properties) -> bool:
    return settings.patch_force or annotation(body, objects.PATCH_FORCE) == "true"


def _exists(there: Properties) -> Failure:
    return Failure(
        f"{title(there)} already exists in the cluster and this stack did not create it. Mend: `pulumi import` it, "
        "delete it, or set upsert_existing_objects on the Kubernetes provider to take it over."
    )


def _at(value: Value, path: tuple[str | int, ...]) -> Value:
    for part in path:
        if isinstance(value, dict):
            value = value.get(str(part))
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return None
    return value
