"""hubtool test: hold images against their contract and the repository's own tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from hubtool import console
from hubtool.commands.promotion import IMAGE_TESTS
from hubtool.config import FILE_NAME, Config, load
from hubtool.contracts import CONTRACTS, NO_CONTRACT, Result, Settings, TestReport, check_contract, default_profile
from hubtool.contracts.junit import junit as junit_xml
from hubtool.contracts.report import as_json as report_json
from hubtool.contracts.report import as_markdown, as_text, promises_as_text
from hubtool.contracts.runner import promises, run_checks
from hubtool.engines import Engine, EngineImage, choose_engine
from hubtool.errors import HubtoolError
from hubtool.files import write_whole
from hubtool.plan import Variant, make_plan
from hubtool.plan.records import Record, folder, read_record, write_record
from hubtool.plan.source import read_source


def test(
    images: Sequence[str],
    *,
    root: Path,
    engine: str | None,
    tag: str | None,
    dirty: bool,
    contract: str | None,
    junit: Path | None,
    as_json: bool,
    list_checks: bool,
) -> None:
    """Test the images of hubtool.yaml that IMAGES name (all, where empty), or one reference.

    Prints the report, writes JUNIT, and raises HubtoolError where an image does not pass.
    """
    if contract is not None:
        check_contract(contract)
    if list_checks:
        _list_checks(root, contract, as_json)
        return
    if junit is not None and not junit.parent.is_dir():
        raise HubtoolError(f"no folder {junit.parent} to write {junit.name} to")
    chosen = choose_engine(engine)
    reports = []
    for subject in _subjects(images, root, chosen, tag, dirty):
        if isinstance(subject, Variant) and _passed_elsewhere(subject, contract):
            continue
        if isinstance(subject, Variant):
            reports.append(test_variant(subject, chosen, contract=contract))
        else:
            reports.append(test_reference(subject, chosen, root, contract=contract))
        if not as_json:
            console.result(as_text(reports[-1]))
    tell(reports, junit, as_json)


test.__test__ = False  # type: ignore[attr-defined]  # a command, for pytest that imports it too


def test_variant(variant: Variant, engine: Engine, *, contract: str | None = None) -> TestReport:
    """Hold VARIANT's image in ENGINE against its contract (or CONTRACT) and the repository's image-tests.

    Shows each result as it comes. When all passed against hubtool.yaml's own contract, the record of the image
    says so for this very image id; anything else clears it. The report says what failed; nothing is raised for
    it. Raises HubtoolError where the engine has no such image or the checks could not run.
    """
    found = _inspect(engine, str(variant.reference), build_hint=True)
    tests = variant.root / IMAGE_TESTS
    image = variant.job.settings
    settings = Settings(
        engine=engine.name,
        image=found.id,
        name=variant.image,
        reference=str(variant.reference),
        contract=contract or variant.contract,
        log_folder=str(_logs(variant.root)),
        profile=image.profile or default_profile(contract or variant.contract),
        parameters=image.parameters,
        known_issues=image.known_issues,
        uid=image.uid,
        user=image.user,
        repo_dir=image.repo_dir,
        start_seconds=image.start_seconds,
        context=str(variant.job.context),
        image_tests=str(tests.resolve()) if _has_tests(tests) else None,
        pip_index=variant.job.site.pip_index,
        ca_bundle=str(variant.job.ca_bundle) if variant.job.ca_bundle else None,
    )
    _note(variant, engine, found.id, None)
    report = _run(engine, settings, str(variant.reference))
    if report.passed and settings.contract == variant.contract:
        _note(variant, engine, found.id, report)
    return report


test_variant.__test__ = False  # type: ignore[attr-defined]


def test_reference(reference: str, engine: Engine, root: Path, *, contract: str | None = None) -> TestReport:
    """Hold an image that ENGINE holds as REFERENCE against CONTRACT (jupyterhub, where None), with the defaults
    of hubtool.yaml. Nothing is recorded. Raises as test_variant does."""
    found = _inspect(engine, reference, build_hint=False)
    settings = Settings(
        engine=engine.name,
        image=found.id,
        name=reference,
        reference=reference,
        contract=contract or next(iter(CONTRACTS)),
        log_folder=str(_logs(root)),
        profile=default_profile(contract or next(iter(CONTRACTS))),
    )
    return _run(engine, settings, reference)


test_reference.__test__ = False  # type: ignore[attr-defined]


def _passed_elsewhere(variant: Variant, contract: str | None) -> bool:
    """Whether the image is the registry's, and passed its contract before it came there."""
    record = read_record(variant.root, variant.image)
    if record is None or not record.in_registry or record.commit != variant.source.commit:
        return False
    if contract not in (None, record.tested):
        return False
    console.say(f"{variant.reference} passed already: {record.test_summary or variant.contract}")
    return True


def _run(engine: Engine, settings: Settings, reference: str) -> TestReport:
    console.say(f"testing {reference} against {_what(settings)} {console.LOG_DOTS}")
    results, seconds = run_checks(engine, settings, _say)
    return TestReport(settings.name, reference, settings.image, settings.contract, results, seconds)


def _what(settings: Settings) -> str:
    contract = "no contract" if settings.contract == NO_CONTRACT else f"the {settings.contract} contract"
    return f"{contract} and {IMAGE_TESTS}/" if settings.image_tests else f"{contract} (no {IMAGE_TESTS}/ to run)"


def _say(result: Result) -> None:
    console.say(f"  {result.check} {result.outcome} in {result.seconds:.1f} s")


def _has_tests(tests: Path) -> bool:
    return any(path.suffix in (".py", ".ipynb") for path in tests.rglob("*")) if tests.is_dir() else False


def _inspect(engine: Engine, reference: str, *, build_hint: bool) -> EngineImage:
    found = engine.inspect(reference)
    if found is None:
        hint = "hubtool build" if build_hint else f"{engine.name} pull {reference}"
        raise HubtoolError(f"{engine.name} has no image {reference}", hint=hint)
    return found


def _logs(root: Path) -> Path:
    try:
        path = folder(root) / "logs"
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise HubtoolError(
            f"no logs can be kept in {root}: {error.strerror}", hint="give a folder by --root"
        ) from error
    return path.resolve()


def _note(variant: Variant, engine: Engine, image_id: str, report: TestReport | None) -> None:
    """Record that the image passed, or with no REPORT that it has not. The record of another build stays."""
    record = read_record(variant.root, variant.image)
    if record is None:
        record = Record(str(variant.reference), image_id, engine.name)
    if record.image_id != image_id:
        return
    passed = (report.contract, report.summary) if report else (None, None)
    write_record(variant.root, variant.image, replace(record, tested=passed[0], test_summary=passed[1]))


def _subjects(names: Sequence[str], root: Path, engine: Engine, tag: str | None, dirty: bool) -> list[Variant | str]:
    """The variants and references that NAMES mean."""
    config = _config(names, root)
    if config is None:
        return list(names)
    references = [name for name in names if name not in config.images and _is_reference(name, engine)]
    images = [name for name in names if name not in references]
    if references and not images:
        return list(references)
    return [*references, *make_plan(config, root, read_source(root, allow_dirty=dirty), images, tag=tag)]


def _is_reference(name: str, engine: Engine) -> bool:
    return "/" in name or ":" in name or engine.inspect(name) is not None


def _config(names: Sequence[str], root: Path) -> Config | None:
    """hubtool.yaml's model; None where there is no file and NAMES need none."""
    if names and not (root / FILE_NAME).exists():
        return None
    return load(root)


def _list_checks(root: Path, contract: str | None, as_json: bool) -> None:
    names = [contract] if contract else list(CONTRACTS)
    found = [promise for name in names for promise in promises(name)]
    if as_json:
        console.result_json([asdict(promise) for promise in found])
    else:
        console.result(promises_as_text(found))
        tests = root / IMAGE_TESTS
        console.say(f"{IMAGE_TESTS}/: {'runs after the contract' if _has_tests(tests) else 'none here'}")


def tell(reports: Sequence[TestReport], junit: Path | None, as_json: bool) -> None:
    """Write and print what programs read, then fail where an image did not pass."""
    if junit is not None:
        write_whole(junit, junit_xml(reports))
    if as_json:
        console.result_json([report_json(report) for report in reports])
    for report in reports:
        console.github_summary(as_markdown(report))
        for result in report.failed:
            console.github_error(f"{report.name}: {result.check} {result.promise}: {result.message} {result.mend}")
        if report.not_run and not report.failed:
            console.warn(f"{report.name} does not count as tested: the checks that start it could not run")
    failed = [f"{report.name} ({', '.join(_ids(report))})" for report in reports if report.failed]
    if failed:
        raise HubtoolError(f"not passed: {', '.join(failed)}", hint="mend what the table says, then: hubtool build")


def _ids(report: TestReport) -> list[str]:
    return list(dict.fromkeys(result.check for result in report.failed))
