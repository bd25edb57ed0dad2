import Foundation
import Karat
import KaratGraphs
import KaratTensors
import KaratTestSupport
import KaratVerification
import Testing

@Suite struct RankCorrelations {
  /// The definition: Pearson's correlation of ranks that are counted one by one.
  private func plain(_ left: [Double], _ right: [Double]) -> Double {
    func ranks(_ numbers: [Double]) -> [Double] {
      numbers.map { number in
        Double(numbers.count { $0 < number }) + Double(numbers.count { $0 == number }) / 2
      }
    }
    let (x, y) = (ranks(left), ranks(right))
    let n = Double(x.count)
    let (mx, my) = (x.reduce(0, +) / n, y.reduce(0, +) / n)
    let xy = zip(x, y).reduce(0) { $0 + ($1.0 - mx) * ($1.1 - my) }
    let xx = x.reduce(0) { $0 + ($1 - mx) * ($1 - mx) }
    let yy = y.reduce(0) { $0 + ($1 - my) * ($1 - my) }
    return xy / (xx * yy).squareRoot()
  }

  @Test func itIsPearsonsOfRanks() throws {
    #expect(
      rankCorrelation(RankOrder([1, 2, 3]), RankOrder([10, 100, 1000]), [1, 1, 1]) == 1
    )
    #expect(rankCorrelation(RankOrder([1, 2, 3]), RankOrder([3, 2, 1]), [1, 1, 1]) == -1)
    #expect(rankCorrelation(RankOrder([1, 1, 1]), RankOrder([3, 2, 1]), [1, 1, 1]) == nil)
    var random = Numbers(seed: 3)
    // Few values, so that many are equal.
    let left = (0..<200).map { _ in Double(Int.random(in: 0..<9, using: &random)) }
    let right = left.map { $0 + Double(Int.random(in: 0..<12, using: &random)) }
    let ones = Array(repeating: 1, count: left.count)
    let found = try #require(rankCorrelation(RankOrder(left), RankOrder(right), ones))
    #expect(abs(found - plain(left, right)) < 1e-12)
  }

  @Test func aSampleIsTheDataItDraws() throws {
    let left: [Double] = [3, 1, 4, 1, 5, 9, 2, 6]
    let right: [Double] = [2, 7, 1, 8, 2, 8, 1, 8]
    let counts = [0, 2, 1, 3, 0, 1, 1, 2]
    func drawn(_ numbers: [Double]) -> [Double] {
      zip(numbers, counts).flatMap { Array(repeating: $0, count: $1) }
    }
    let found = try #require(rankCorrelation(RankOrder(left), RankOrder(right), counts))
    #expect(abs(found - plain(drawn(left), drawn(right))) < 1e-12)
  }

  @Test func anIntervalLeavesOutAFortiethOnEachSide() {
    let samples = (0...1000).map { Optional(Double($0)) }
    #expect(percentileInterval(samples) == 25...975)
    #expect(percentileInterval(Array(samples.prefix(50))) == nil)
    #expect(percentileInterval(samples + Array(repeating: nil, count: 1002)) == nil)
  }
}

@Suite struct VerifyingEncoders {
  private func subject(_ edit: (inout EditedModel) -> Void = { _ in }) throws -> Verifier.Subject {
    var edited = try EditedModel("bert-tiny")
    edit(&edited)
    var model = try LoadedModel.open(fixture("bert-tiny")).model
    model.source = edited.source
    return Verifier.Subject(Executor(model), byteCount: model.source.manifest.totalBytes)
  }

  private func texts(_ count: Int, seed: UInt64 = 5) -> [[Int32]] {
    var random = Numbers(seed: seed)
    return (0..<count).map { index in
      (0..<3 + index % 9).map { _ in Int32.random(in: 0..<320, using: &random) }
    }
  }

  private func pairs(_ count: Int) -> EmbeddingTexts {
    let texts = texts(2 * count)
    return EmbeddingTexts(
      pairs: (0..<count).map { (Double($0 % 6), texts[2 * $0], texts[2 * $0 + 1]) }
    )
  }

  @Test func anEncoderAgainstItselfLosesNothing() throws {
    let found = try Verifier(maximumDrop: 0).compareEmbeddings(
      try subject(),
      try subject(),
      EmbeddingTexts(texts(40))
    )
    #expect(found.texts == 40)
    #expect(try #require(found.cosine).mean == 1)
    #expect(try #require(found.cosine).quantile(0) == 1)
    #expect(found.distanceBounds == 0...0)
    #expect(found.ranking == nil)
    #expect(found.verdict == .pass)
    let ranked = try Verifier(maximumDrop: 0).compareEmbeddings(
      try subject(),
      try subject(),
      pairs(120)
    )
    #expect(ranked.ranking?.drop == 0)
    #expect(ranked.ranking?.dropBounds == 0...0)
    #expect(ranked.verdict == .pass)
  }

  @Test func aBrokenEncoderFails() throws {
    let broken = try subject { model in
      model.edit("encoder.layer.1.output.dense.weight") { $0 = $0.map { -40 * $0 } }
    }
    let found = try Verifier().compareEmbeddings(
      try subject(),
      broken,
      EmbeddingTexts(texts(60))
    )
    #expect(try #require(found.cosine).mean < 0.98)
    #expect(found.verdict == .fail)
    let keys = found.json.object?.members.map(\.key)
    #expect(keys == ["texts", "tokens", "cosine", "bytes", "max_drop", "verdict"])
    #expect(found.table.contains("FAIL: the whole interval is beyond the allowed drop"))
  }

  @Test func tooFewPairsTellNothing() throws {
    let found = try Verifier().compareEmbeddings(
      try subject(),
      try subject { $0.scale("encoder.layer.0.output.dense.weight", column: 3, by: 30) },
      pairs(12)
    )
    #expect(found.verdict == .undecided)
    let spearman = try #require(found.json["spearman"]?.object)
    #expect(
      spearman.members.map(\.key) == ["reference", "candidate", "drop", "drop_ci95"]
    )
    #expect(found.json["pairs"]?.int == 12)
  }

  /// Pairs are ranked by each model for itself; the cosine of two vectors needs equal lengths.
  @Test func vectorsOfAnotherLengthRankPairs() throws {
    let teacher = try LoadedModel.open(fixture("bert-tiny"))
    let narrow = try teacher.student(StudentShape(heads: 2, hidden: 32)).model
    let other = Verifier.Subject(Executor(narrow.model, threads: 1), byteCount: narrow.byteCount)
    let found = try Verifier(maximumDrop: .infinity)
      .compareEmbeddings(try subject(), other, pairs(40))
    #expect(found.cosine == nil && found.ranking?.candidate != nil)
    #expect(!found.table.contains("cosine") && found.json["cosine"] == nil)
    #expect(
      message {
        _ = try Verifier().compareEmbeddings(try subject(), other, EmbeddingTexts(texts(4)))
      }
        == "the reference gives vectors of 64 numbers and the candidate of 32, whose cosine is not there. Give pairs of texts with scores, in a .tsv file."
    )
  }

  @Test func vectorsThatAreNoNumbersAreNamed() throws {
    let broken = try subject { $0.set("embeddings.LayerNorm.weight", at: 3, to: .nan) }
    #expect(
      message {
        _ = try Verifier().compareEmbeddings(try subject(), broken, EmbeddingTexts(texts(2)))
      }
        == "text 0: the candidate gives a vector that is not of finite numbers. A weight is broken, or the model overflows: karat inspect --tensors."
    )
  }
}

@Suite struct Pairs {
  private func read(_ text: String) throws -> ScoredPairs {
    var pairs: ScoredPairs?
    try inTemporaryFolder { folder in
      try Data(text.utf8).write(to: URL(filePath: folder + "/p.tsv"))
      pairs = try ScoredPairs(folder + "/p.tsv")
    }
    return try #require(pairs)
  }

  @Test func rowsAreAScoreAndTwoTexts() throws {
    let found = try read("5.0\ta b\tc\r\n\n-1e-1\t\u{2028}x\ty \"z\n").pairs
    #expect(found.map(\.score) == [5, -0.1])
    #expect(found.map(\.first) == ["a b", "\u{2028}x"])
    #expect(found.map(\.second) == ["c", "y \"z"])
  }

  @Test(arguments: [
    ("1\ta\n2\tb\tc\n", "line 1: 2 fields parted by tabs; a score and two texts are needed."),
    ("1\ta\tb\n2\tb\tc\td\n", "line 2: 4 fields parted by tabs; a score and two texts are needed."),
    ("score\ta\tb\n", "line 1: the score is 'score'; a number is needed."),
    ("nan\ta\tb\n", "line 1: the score is 'nan'; a number is needed."),
  ])
  func aRowThatIsNoneIsNamed(_ text: String, _ expected: String) {
    #expect(message { _ = try read(text) }?.hasSuffix("p.tsv, " + expected) == true)
  }

  @Test func onePairCannotBeRanked() {
    #expect(
      message { _ = try read("1\ta\tb\n") }?.hasSuffix(
        "p.tsv: 1 pair; at least 2 are needed to say whether they are ranked alike."
      ) == true
    )
  }
}
