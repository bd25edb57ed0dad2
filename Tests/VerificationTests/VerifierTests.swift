import Foundation
import Karat
import KaratGraphs
import KaratTensors
import KaratTestSupport
import KaratVerification
import Testing

@Suite struct Verifying {
  private func subject(_ model: Model) -> Verifier.Subject {
    Verifier.Subject(Executor(model), byteCount: model.source.manifest.totalBytes)
  }

  private func windows(_ count: Int) throws -> [[Int32]] {
    Array(try Expected("alice/expected_heldout.safetensors").ids("heldout_ids").prefix(count))
  }

  /// A model whose logits after a token are a row of a table.
  private func chain(_ rows: [[Float]]) throws -> Model {
    let (size, vocabulary) = (rows.count, rows[0].count)
    let tracer = Tracer()
    let ids = tracer.input("input_ids", ValueType(.i32, [.batch, .length]))
    let table = (tracer.root / "table").parameter("weight", size, vocabulary)
    tracer.name(ids.through(.embedding(Embedding()), table, at: tracer.root), "logits")
    return Model(
      graph: try tracer.finish(),
      source: MemorySource([
        "table.weight": Tensor(rows.flatMap(\.self), shape: [size, vocabulary])
      ])
    )
  }

  @Test func aModelAgainstItselfLosesNothing() throws {
    let alice = try LoadedModel.open(fixture("alice")).model
    let found = try Verifier(maximumDrop: 0).compare(
      subject(alice),
      subject(alice),
      windows: try windows(8)
    )
    #expect(found.tokens == 8 * 127)
    #expect(found.windows == 8)
    #expect(found.windowLength == 128)
    #expect(found.ratio.ratio == 1)
    #expect(found.ratio.bounds == 1...1)
    #expect(found.referencePerplexity == found.candidatePerplexity)
    #expect(found.divergence.mean == 0)
    #expect(found.divergence.maximum == 0)
    #expect(found.topAgreement == 1)
    #expect(found.verdict == .pass)
  }

  @Test func perplexityIsThatOfTheReferenceImplementation() throws {
    let losses = try Expected("alice/expected_heldout.safetensors").floats("heldout_nll")
    let alice = try LoadedModel.open(fixture("alice")).model
    let found = try Verifier().compare(subject(alice), subject(alice), windows: try windows(64))
    let expected = exp(losses.reduce(0) { $0 + Double($1) } / Double(losses.count))
    #expect(abs(found.referencePerplexity / expected - 1) < 1e-5)
  }

  @Test func figuresAreWhatTheHandComputes() throws {
    // After any token the reference gives ½, ½ and the candidate ¼, ¾.
    let reference = try chain([[0, 0], [0, 0]])
    let candidate = try chain([[0, log(3)], [0, log(3)]])
    let windows: [[Int32]] = [[0, 0, 1, 0], [1, 1]]
    let found = try Verifier().compare(
      subject(reference),
      subject(candidate),
      windows: windows
    )
    // Scored are 0, 1, 0 and 1.
    #expect(found.tokens == 4)
    #expect(abs(found.referencePerplexity - 2) < 1e-6)
    let loss = (2 * log(4.0) + 2 * log(4.0 / 3)) / 4
    #expect(abs(found.candidatePerplexity - exp(loss)) < 1e-6)
    #expect(abs(found.ratio.ratio - exp(loss - log(2.0))) < 1e-6)
    let divergence = 0.5 * log(0.5 / 0.25) + 0.5 * log(0.5 / 0.75)
    #expect(abs(found.divergence.mean - divergence) < 1e-6)
    #expect(abs(found.divergence.quantile(0.5) - divergence) < 1e-6)
    #expect(found.topAgreement == 0)
    #expect(found.referenceBytes == 16)
    let json = found.json
    #expect(json["verdict"]?.string == found.verdict.rawValue)
    #expect(json["bytes"]?["candidate"]?.int == 16)
    #expect(found.table.contains("verdict"))
  }

  @Test func modelsThatCannotBeComparedAreRefused() throws {
    let (two, three) = (
      try chain([[0, 0], [0, 0]]), try chain([[0, 0, 0], [0, 0, 0], [0, 0, 0]])
    )
    #expect(
      message { _ = try Verifier().compare(subject(two), subject(three), windows: [[0, 1]]) }
        == "the reference has a vocabulary of 2 and the candidate one of 3; only models of one vocabulary can be compared."
    )
    #expect(
      message { _ = try Verifier().compare(subject(two), subject(two), windows: []) }
        == "there is nothing to score: each window needs at least 2 tokens."
    )
    #expect(
      message { _ = try Verifier().compare(subject(two), subject(two), windows: [[0, 1], [1]]) }
        == "there is nothing to score: each window needs at least 2 tokens."
    )
    #expect(
      message { _ = try Verifier().compare(subject(two), subject(two), windows: [[0, 2]]) }
        == "token 2 is not in the model's vocabulary of 2. Does the tokenizer belong to another model?"
    )
    // A head that is narrower than the embedding.
    let wide = try chain([[0, 0, 0], [0, 0, 0]])
    #expect(
      message { _ = try Verifier().compare(subject(two), subject(wide), windows: [[0, 1]]) }
        == "the reference gives 2 logits and the candidate 3."
    )
    let narrow = try chain([[0], [0], [0]])
    #expect(
      message { _ = try Verifier().compare(subject(narrow), subject(narrow), windows: [[0, 2]]) }
        == "token 2 has no logit: the model gives 1. Does the tokenizer belong to another model?"
    )
  }

  @Test(arguments: [Float.nan, .infinity])
  func brokenLogitsAreNamed(_ broken: Float) throws {
    let good = try chain([[0, 0, 0], [0, 0, 0], [0, 0, 0]])
    let bad = try chain([[0, 0, 0], [0, broken, 0], [0, 0, 0]])
    let windows: [[Int32]] = [[0, 0, 0], [0, 1, 2]]
    #expect(
      message { _ = try Verifier().compare(subject(good), subject(bad), windows: windows) }
        == "window 1, token 2: the candidate gives logits that are not finite numbers. A weight is broken, or the model overflows: karat inspect --tensors."
    )
    #expect(
      message { _ = try Verifier().compare(subject(bad), subject(good), windows: windows) }
        == "window 1, token 2: the reference gives logits that are not finite numbers. A weight is broken, or the model overflows: karat inspect --tensors."
    )
  }
}

@Suite struct Windows {
  @Test func measuringTakesEveryTokenOnce() throws {
    let tokens = (0..<10).map { Int32($0) }
    #expect(
      try TokenWindows(measuring: tokens, length: 4, name: "t").windows
        == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    )
    #expect(
      try TokenWindows(measuring: tokens, length: 3, name: "t").windows
        == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    )
    #expect(
      try TokenWindows(measuring: tokens, length: 4, limit: 1, name: "t").windows
        == [[0, 1, 2, 3]]
    )
    #expect(try TokenWindows(measuring: tokens, length: .max, name: "t").windows == [tokens])
  }

  @Test func calibratingSpreadsWholeWindows() throws {
    let tokens = (0..<100).map { Int32($0) }
    let found = try TokenWindows(calibrating: tokens, count: 4, length: 10, name: "t")
    #expect(found.windows.map(\.first) == [0, 20, 50, 70])
    #expect(found.windows.allSatisfy { $0.count == 10 })
    #expect(
      try TokenWindows(calibrating: tokens, count: 99, length: 30, name: "t").windows.count == 3
    )
  }

  @Test func textsThatAreTooShortAreNamed() {
    #expect(
      message { _ = try TokenWindows(measuring: [], length: 4, name: "t.txt") }
        == "t.txt: the text has 0 tokens; at least 2 are needed, since the first of a window is not scored."
    )
    #expect(
      message { _ = try TokenWindows(measuring: [7], length: 4, name: "t.txt") }
        == "t.txt: the text has 1 token; at least 2 are needed, since the first of a window is not scored."
    )
    #expect(
      message { _ = try TokenWindows(calibrating: [], count: 1, length: 4, name: "t.txt") }
        == "t.txt: the calibration text has no tokens. Give a text like those that the model will read."
    )
    #expect(
      message { _ = try TokenWindows(calibrating: [1, 2], count: 1, length: 4, name: "t.txt") }
        == "t.txt: the calibration text has 2 tokens; one window needs 4. Give more text, or ask for shorter windows."
    )
  }
}
