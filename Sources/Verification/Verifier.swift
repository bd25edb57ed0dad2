import Foundation
public import KaratBytes
public import KaratEngine
import KaratGraphs
import KaratKernels

/// Compares two models over the same windows of text, side by side: nothing is stored but a few
/// numbers for each token.
public struct Verifier: Sendable {
  /// The most that the perplexity may rise, as a fraction.
  public var maximumDrop: Double
  /// Where the verifier says how far it is.
  public var progress: ProgressReporter

  /// The rise of the perplexity that is allowed where nothing else is said: 0.8%.
  public static let defaultMaximumDrop = 0.008

  /// Prepares to compare.
  public init(
    maximumDrop: Double = Verifier.defaultMaximumDrop,
    progress: ProgressReporter = .silent
  ) {
    self.maximumDrop = maximumDrop
    self.progress = progress
  }

  /// A model to compare, and its size.
  public struct Subject {
    let executor: Executor
    let byteCount: Int

    /// - Parameters:
    ///   - executor: runs the model.
    ///   - byteCount: the bytes that the model takes on disk.
    public init(_ executor: Executor, byteCount: Int) {
      self.executor = executor
      self.byteCount = byteCount
    }
  }

  /// Runs both models over every window and compares what they predict.
  ///
  /// The first token of each window is not scored. Perplexity is `exp` of one mean over all scored
  /// tokens. Time is that of running both models, block by block; memory holds the parameters of one
  /// block, and the logits of one window twice, or of as many tokens as the executors' budgets allow.
  ///
  /// - Parameters:
  ///   - reference: the model that everything is measured against.
  ///   - candidate: the model that is judged; its vocabulary must be as large.
  ///   - windows: token windows of at least two tokens each.
  /// - Returns: what was measured, and the verdict.
  /// - Throws: `VerificationError` where the vocabularies differ or a model gives numbers that are
  ///   not finite, and what running the models throws.
  public func compare(
    _ reference: Subject,
    _ candidate: Subject,
    windows: [[Int32]]
  ) throws -> Findings {
    let (referenceBytes, candidateBytes) = (reference.byteCount, candidate.byteCount)
    let (reference, candidate) = (reference.executor, candidate.executor)
    guard reference.vocabularySize == candidate.vocabularySize else {
      throw VerificationError(
        "the reference has a vocabulary of \(reference.vocabularySize) and the candidate one of "
          + "\(candidate.vocabularySize); only models of one vocabulary can be compared."
      )
    }
    guard !windows.isEmpty, windows.allSatisfy({ $0.count >= 2 }) else {
      throw VerificationError("there is nothing to score: each window needs at least 2 tokens.")
    }
    let (scores, routers) = try scores(reference, candidate, windows)
    let segments = Segments(scoredTokens: windows.map { $0.count - 1 })
    let ratio = RatioInterval(
      differences: zip(scores.candidateLosses, scores.referenceLosses).map { $0 - $1 },
      segments: segments
    )
    let count = Double(scores.divergences.count)
    return Findings(
      tokens: scores.divergences.count,
      windows: windows.count,
      windowLength: windows[0].count,
      referencePerplexity: exp(scores.referenceLosses.reduce(0, +) / count),
      candidatePerplexity: exp(scores.candidateLosses.reduce(0, +) / count),
      ratio: ratio,
      divergence: Distribution(scores.divergences, segments: segments),
      topAgreement: Double(scores.agreements) / count,
      routers: routers,
      referenceBytes: referenceBytes,
      candidateBytes: candidateBytes,
      maximumDrop: maximumDrop,
      verdict: Verdict(ratio, maximumDrop: maximumDrop)
    )
  }

  /// Runs each model block by block over all windows up to its logits, then both side by side for
  /// these, for as many tokens at a time as memory has room for.
  private func scores(
    _ reference: Executor,
    _ candidate: Executor,
    _ windows: [[Int32]]
  ) throws -> (Scores, RouterFindings?) {
    let logits = (try reference.value(named: "logits"), try candidate.value(named: "logits"))
    var left = try StagedRun(reference, windows: windows)
    var right = try StagedRun(candidate, windows: windows)
    let stages = (left.stageCount(before: logits.0), right.stageCount(before: logits.1))
    let steps = stages.0 + stages.1 + 1
    var choices = (RouterChoices(reference.model.graph), RouterChoices(candidate.model.graph))
    try left.advance(to: logits.0, wanted: choices.0.wanted) {
      progress.report("verify", $0, of: steps, "blocks")
    } _: {
      choices.0.add($0, $1, $2)
    }
    try right.advance(to: logits.1, wanted: choices.1.wanted) {
      progress.report("verify", stages.0 + $0, of: steps, "blocks")
    } _: {
      choices.1.add($0, $1, $2)
    }
    let together = [left.tokensAtATime(of: logits.0), right.tokensAtATime(of: logits.1)]
    progress.report("verify", steps - 1, of: steps, "blocks")
    var scores = Scores()
    for (index, window) in windows.enumerated() {
      let step = together.reduce(window.count) { min($0, $1 ?? window.count) }
      // A window that cannot be cut comes whole.
      let size = together.contains(nil) ? window.count : max(step, 1)
      for first in stride(from: 0, to: window.count, by: size) {
        let tokens = first..<min(first + size, window.count)
        try left.show(logits.0, window: index, tokens: tokens) { left in
          try right.show(logits.1, window: index, tokens: tokens) { right in
            try check(left, right, window)
            try scores.add(window, tokens, left, right, index: index, on: reference.workers)
          }
        }
      }
    }
    progress.report("verify", steps, of: steps, "blocks")
    return (scores, choices.0.findings(against: choices.1, windows))
  }

  private func check(
    _ left: Operand,
    _ right: Operand,
    _ window: [Int32]
  ) throws(VerificationError) {
    guard left.features == right.features else {
      throw VerificationError(
        "the reference gives \(left.features) logits and the candidate \(right.features)."
      )
    }
    if let token = window.first(where: { Int($0) >= left.features }) {
      throw VerificationError(
        "token \(token) has no logit: the model gives \(left.features). Does the tokenizer belong "
          + "to another model?"
      )
    }
  }
}

/// Why two models cannot be compared.
public struct VerificationError: Error, Hashable, Sendable, CustomStringConvertible {
  /// Where, what is, what was needed, and what to do.
  public let description: String

  init(_ description: String) {
    self.description = description
  }
}

/// What is kept of each scored token.
private struct Scores {
  private(set) var referenceLosses: [Double] = []
  private(set) var candidateLosses: [Double] = []
  private(set) var divergences: [Double] = []
  private(set) var agreements = 0

  mutating func add(
    _ window: [Int32],
    _ tokens: Range<Int>,
    _ reference: Operand,
    _ candidate: Operand,
    index: Int,
    on workers: Workers
  ) throws {
    // The last token of a window predicts nothing that is known.
    let scored = min(tokens.upperBound, window.count - 1) - tokens.lowerBound
    let features = reference.features
    let rows = [LogitComparison](unsafeUninitializedCapacity: scored) { rows, count in
      guard let first = rows.baseAddress else { return }
      workers.forEachTile(scored) { row in
        (first + row).initialize(
          to: compareLogits(
            reference: reference.floats + row * features,
            candidate: candidate.floats + row * features,
            count: features
          )
        )
      }
      count = scored
    }
    for (row, comparison) in rows.enumerated() {
      let token = tokens.lowerBound + row + 1
      let target = Int(window[token])
      let left = comparison.referenceLogSumExp - Double(reference.floats[row * features + target])
      let right = comparison.candidateLogSumExp - Double(candidate.floats[row * features + target])
      for (loss, name) in [(left, "reference"), (right, "candidate")] where !loss.isFinite {
        throw VerificationError(
          "window \(index), token \(token): the \(name) gives logits that are not finite "
            + "numbers. A weight is broken, or the model overflows: karat inspect --tensors."
        )
      }
      referenceLosses.append(left)
      candidateLosses.append(right)
      divergences.append(comparison.divergence)
      if comparison.referenceArgmax == comparison.candidateArgmax { agreements += 1 }
    }
  }
}
