"""The report that `evaluate_checkpoint.py` prints, in Korean as its users know it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from foldwise.mlm.report.scores import LEAST_PASSAGES, composite

_WIDE, _THIN = "=" * 80, "─" * 80
_NAMES = (("LAMBADA@1", "lambada_top1"), ("Real@1", "real1"), ("Real@5", "real5"))


def report_text(
    results: Mapping[str, Any], baseline: Mapping[str, Any] | None, seconds: float
) -> str:
    """The report.

    Args:
        results: Content of `{checkpoint}_eval_results.json`.
        baseline: `{"checkpoint", "note", "real1", "real5", "lambada_top1", "seq_len",
            "samples_sha256"}` to compare with.
        seconds: Duration of the evaluation.
    """
    lines = [_WIDE, "✅ 평가 결과", _WIDE, *_results(results, seconds)]
    if baseline is not None:
        lines += ["", _THIN, "📊 성능 비교", _THIN, *_comparison(results, baseline)]
    else:
        lines += [
            "",
            "종합 스코어 (0.4*Real@1 + 0.3*Real@5 + 0.3*LAMBADA@1): "
            + _score(results["score"], results["lambada_samples"]),
        ]
    # Users' scripts read the lines above; what the numbers are worth follows them.
    lines += ["", _THIN, "🔍 해석", _THIN, *_reading(results)]
    if baseline is not None and baseline.get("samples_sha256") != results["samples_sha256"]:
        lines += ["", "주의: 이전 베스트는 다른 샘플로 잰 값이므로 직접 비교할 수 없습니다."]
    return "\n".join([*lines, _WIDE])


def _results(results: Mapping[str, Any], seconds: float) -> list[str]:
    partial = " (일부 샘플만 평가: --limit)" if results["partial"] else ""
    return [
        f"체크포인트: {results['checkpoint']}",
        f"시퀀스 길이: {results['seq_len']}",
        f"Coref 샘플: {results['coref_samples']}{partial}",
        "",
        f"LAMBADA@1: {_rate(results['lambada_top1'])}",
        f"Real@1:    {_rate(results['real1'])}",
        f"Real@5:    {_rate(results['real5'])}",
        "",
        f"평가 시간: {seconds:.1f}초",
    ]


def _reading(results: Mapping[str, Any]) -> list[str]:
    """Intervals, both matchings, the floor without a model, and what the vocabulary can answer."""
    names = (*_NAMES, ("종합 스코어", "score"))
    matchings = (("exact", "정확 일치"), ("reference", "참조 방식"))
    return [
        f"95% 구간 (matching={results['matching']}):",
        *(
            f"  - {name}: {_percent(interval[0])} ~ {_percent(interval[1])}"
            for name, key in names
            if (interval := results[f"{key}_interval"]) is not None
        ),
        "두 가지 채점:",
        *(
            f"  - {matching} ({label}): "
            + ", ".join(f"{name} {_percent(results[matching][key])}" for name, key in _NAMES)
            for matching, label in matchings
        ),
        f"모델 없는 기준선 (가장 잦은 명사): Real@1 {_percent(results['floor_real1'])}, "
        f"Real@5 {_percent(results['floor_real5'])}",
        f"단일 토큰 명사: {_percent(results['coverage'])}",
        f"본문 명사 중 정답의 PLL이 가장 높은 비율 (multi_token: pll): {_percent(results['pll1'])}",
    ]


def _comparison(results: Mapping[str, Any], baseline: Mapping[str, Any]) -> list[str]:
    """Against the baseline, which was counted by the reference matching."""
    note = f"{baseline['note']}, " if baseline.get("note") else ""
    own = results["reference"]
    label = "" if results["matching"] == "reference" else ", matching=reference"
    before = composite(baseline["real1"], baseline["real5"], baseline["lambada_top1"])
    after = own["score"]
    lines = [
        f"이전 베스트 ({baseline['checkpoint']}, {note}seq_len={baseline['seq_len']}):",
        *(f"  - {name}: {_percent(baseline[key])}" for name, key in _NAMES[1:]),
        "",
        f"현재 체크포인트 (seq_len={results['seq_len']}{label}):",
        *(f"  - {name}: {_percent(own[key])}" for name, key in _NAMES[1:]),
        "",
        "변화:",
        *(f"  - {name}: {_change(own[key] - baseline[key])}" for name, key in _NAMES[1:]),
        "",
        "종합 스코어 (0.4*Real@1 + 0.3*Real@5 + 0.3*LAMBADA@1):",
        f"  - 이전: {_score(before, None)}",
        f"  - 현재: {_score(after, results['lambada_samples'])}",
    ]
    if before is not None and after is not None:
        lines.append(f"  - 변화: {_change(after - before)}")
    return lines


def _rate(value: float | None) -> str:
    return "없음 (데이터셋 없음)" if value is None else f"{value:.4f} ({_percent(value)})"


def _percent(value: float | None) -> str:
    return "없음" if value is None else f"{100 * value:.2f}%"


def _change(value: float) -> str:
    return f"{100 * value + 0.0:+.2f}%p"


def _score(value: float | None, passages: int | None) -> str:
    if value is not None:
        return f"{value:.4f}"
    few = f"지문 {passages}개, {LEAST_PASSAGES}개 미만" if passages else "LAMBADA@1 없음"
    return f"없음 ({few})"
