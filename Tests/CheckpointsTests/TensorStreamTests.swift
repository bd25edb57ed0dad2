import KaratTensors
import Synchronization
import Testing

/// Numbers 0, 1, 2, … as U32 tensors that are never in memory as a whole.
private final class Counting: TensorSource {
  let manifest: Manifest
  /// How many elements pieces that were pulled and not yet let go of hold, and the most so far.
  let pulled = Mutex((runs: 0, longest: 0))
  private let divisible: Bool
  private let broken: TensorName?

  init(_ shapes: [(TensorName, Shape)], divisible: Bool = true, broken: TensorName? = nil) {
    var manifest = Manifest()
    for (name, shape) in shapes { manifest.set(name, TensorInfo(.u32, shape)) }
    self.manifest = manifest
    self.divisible = divisible
    self.broken = broken
  }

  func isDivisible(_ name: TensorName) -> Bool { divisible }

  func tensor(_ name: TensorName) throws(CheckpointError) -> Tensor {
    guard let info = manifest[name] else { throw .missing(name, in: "the count") }
    return try elements(0..<info.shape.elementCount, of: name).reshaped(to: info.shape)
  }

  func elements(_ range: Range<Int>, of name: TensorName) throws(CheckpointError) -> Tensor {
    if name == broken { throw CheckpointError(.inputOutput, tensor: name, "it cannot be read.") }
    pulled.withLock { $0 = ($0.runs + 1, max($0.longest, range.count)) }
    return Tensor(.u32, [range.count], copying: range.map { UInt32($0) })
  }
}

@Suite struct TensorStreamTests {
  private let shapes: [(TensorName, Shape)] = [
    ("matrix", [37, 11]), ("empty", [0, 5]), ("scalar", []), ("row", [1, 1000]),
    ("cube", [3, 4, 5]),
  ]

  @Test(arguments: [1, 2, 5], [1, 64, 100_000])
  func givesEveryElementOnceAndInOrder(threads: Int, pieceByteCount: Int) throws {
    let source = Counting(shapes)
    let names: [TensorName] = ["cube", "empty", "matrix", "row", "scalar"]
    let stream = try TensorStream(
      names,
      of: source,
      pieceByteCount: pieceByteCount,
      threads: threads,
      ahead: 3
    )
    var found: [TensorName: [UInt32]] = [:]
    var order: [TensorName] = []
    try stream.forEach { piece, tensor throws(CheckpointError) in
      if order.last != piece.name { order.append(piece.name) }
      found[piece.name, default: []] += tensor.elements(as: UInt32.self)
    }
    #expect(order == names)
    for (name, shape) in shapes {
      #expect(found[name] == (0..<UInt32(shape.elementCount)).map(\.self), "\(name)")
    }
  }

  @Test func piecesAreWholeRowsWhereRowsFit() throws {
    let source = Counting(shapes)
    _ = try TensorStream(["matrix"], of: source, pieceByteCount: 100).forEach {
      piece,
      _ throws(CheckpointError) in
      #expect(piece.elements.lowerBound.isMultiple(of: 11) && piece.elements.count <= 25)
    }
    #expect(source.pulled.withLock(\.longest) == 22)
  }

  @Test func blocksAreNotCut() {
    let runs = TensorInfo(.q4_0, [5, 96]).runs(ofBytes: 70)
    #expect(runs.allSatisfy { $0.lowerBound.isMultiple(of: 32) })
    #expect(runs.first == 0..<96 && runs.last?.upperBound == 480)
    // Rows of 3 half bytes do not end with a byte.
    let ragged = TensorInfo(.f4, [2, 3]).runs(ofBytes: 1)
    #expect(ragged == [0..<2, 2..<4, 4..<6])
  }

  @Test func whatIsNotDivisibleComesWhole() throws {
    let source = Counting(shapes, divisible: false)
    try TensorStream(["matrix", "row"], of: source, pieceByteCount: 8).forEach {
      piece,
      tensor throws(CheckpointError) in
      #expect(tensor.shape == source.manifest[piece.name]?.shape)
    }
    #expect(source.pulled.withLock(\.runs) == 2)
  }

  @Test func theFirstFaultInOrderIsThrown() throws {
    let source = Counting(shapes, broken: "matrix")
    let stream = try TensorStream(["row", "matrix"], of: source, pieceByteCount: 40, threads: 4)
    var rows = 0
    let error = #expect(throws: CheckpointError.self) {
      try stream.forEach { piece, tensor throws(CheckpointError) in rows += tensor.shape[0] }
    }
    #expect(error?.tensor == "matrix" && rows == 1000)
  }

  @Test(arguments: 0..<20)
  func nothingIsPulledAfterTheWriterFails(_ stop: Int) throws {
    let source = Counting([("long", [100_000])])
    let stream = try TensorStream(["long"], of: source, pieceByteCount: 400, threads: 3, ahead: 4)
    var taken = 0
    #expect(throws: CheckpointError(.inputOutput, "full")) {
      try stream.forEach { _, _ throws(CheckpointError) in
        taken += 1
        if taken > stop { throw CheckpointError(.inputOutput, "full") }
      }
    }
    let runs = source.pulled.withLock(\.runs)
    #expect(runs <= stop + 1 + 4 + 3)
    #expect(source.pulled.withLock(\.runs) == runs)
  }
}
