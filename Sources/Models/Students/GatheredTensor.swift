import KaratArchitectures
import KaratKernels
import KaratTensors

/// A tensor of one or two extents put together of parts of others, rows of it at a time.
struct GatheredTensor: Sendable {
  private struct Part: Sendable {
    let tensor: TensorName
    /// The rows that are taken, or nil for all.
    let rows: [Int]?
    /// The columns that are taken, as runs.
    let columns: [Range<Int>]
    /// The columns of the tensor.
    let width: Int
    let factor: Float
    /// Where the part lies in the result.
    let rowRange: Range<Int>
    let firstColumn: Int
  }

  /// The result's type and shape.
  let info: TensorInfo
  /// Whether some rows cost no more than their share.
  let isDivisible: Bool
  private let source: any TensorSource
  private let parts: [Part]
  private let width: Int
  /// Whether numbers are multiplied, or of several types, and so pass through float32.
  private let isComputed: Bool

  /// Looks up the parts.
  ///
  /// - Throws: `CheckpointError` where the source lacks one.
  init(
    _ parts: [TensorPart],
    along axis: Int,
    of source: any TensorSource
  ) throws(CheckpointError) {
    var found: [Part] = []
    var dtypes: Set<DType> = []
    var (rows, columns) = (0, 0)
    var rank = 1
    for part in parts {
      guard let info = source.manifest[part.tensor] else {
        throw .missing(part.tensor, in: "the teacher")
      }
      dtypes.insert(info.dtype)
      rank = info.shape.rank
      let width = rank == 2 ? info.shape[1] : 1
      let taken = (
        rows: part.places[0]?.count ?? info.shape[0],
        columns: rank == 2 ? Self.runs(part.places[1], of: width) : [0..<1]
      )
      let first = axis == 0 ? (rows, 0) : (0, columns)
      found.append(
        Part(
          tensor: part.tensor,
          rows: part.places[0],
          columns: taken.columns,
          width: width,
          factor: part.factor,
          rowRange: first.0..<first.0 + taken.rows,
          firstColumn: first.1
        )
      )
      let count = taken.columns.reduce(0) { $0 + $1.count }
      (rows, columns) =
        axis == 0 ? (rows + taken.rows, count) : (taken.rows, columns + count)
    }
    isComputed = dtypes.count > 1 || parts.contains { $0.factor != 1 }
    let own = dtypes.first ?? .f32
    let canHold = dtypes.count == 1 && [.f32, .f16, .bf16].contains(own)
    info = TensorInfo(
      isComputed && !canHold ? .f32 : own,
      rank == 2 ? [rows, columns] : [rows]
    )
    isDivisible = parts.allSatisfy { source.isDivisible($0.tensor) }
    width = columns
    self.source = source
    self.parts = found
  }

  /// The tensor, computed when it is pulled.
  var derived: DerivedTensor {
    DerivedTensor(info, isDivisible: isDivisible) { range throws(CheckpointError) in
      try elements(range)
    }
  }

  private func elements(_ range: Range<Int>) throws(CheckpointError) -> Tensor {
    guard !range.isEmpty else { return Tensor(info.dtype, [0]) { _ in } }
    let rows = range.lowerBound / width..<(range.upperBound - 1) / width + 1
    let working = isComputed ? DType.f32 : info.dtype
    let all = try Tensor(working, [rows.count * width]) {
      bytes throws(CheckpointError) in
      for part in parts { try copy(part, rows, working, into: bytes) }
    }
    let first = rows.lowerBound * width
    return all.cast(to: info.dtype, on: Workers(threads: 1)).tensor
      .elements(range.lowerBound - first..<range.upperBound - first)
  }

  /// Copies what some rows of the result hold of a part.
  private func copy(
    _ part: Part,
    _ rows: Range<Int>,
    _ working: DType,
    into bytes: UnsafeMutableRawBufferPointer
  ) throws(CheckpointError) {
    let own = rows.clamped(to: part.rowRange)
    guard !own.isEmpty else { return }
    let places = own.map { row in
      part.rows.map { $0[row - part.rowRange.lowerBound] } ?? row - part.rowRange.lowerBound
    }
    guard let least = places.min(), let most = places.max() else { return }
    var slice = try source.elements(
      least * part.width..<(most + 1) * part.width,
      of: part.tensor
    )
    if isComputed { slice = slice.asFloat32(on: Workers(threads: 1)) }
    let size = working.block.bytes
    slice.withBytes { source in
      for (row, place) in zip(own, places) {
        let start = (row - rows.lowerBound) * width + part.firstColumn
        var target = start * size
        for run in part.columns {
          let first = ((place - least) * part.width + run.lowerBound) * size
          let count = run.count * size
          UnsafeMutableRawBufferPointer(rebasing: bytes[target..<target + count])
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: source[first..<first + count]))
          target += count
        }
        guard part.factor != 1 else { continue }
        let floats = bytes.assumingMemoryBound(to: Float.self)
        for index in start..<target / size { floats[index] *= part.factor }
      }
    }
  }

  /// Places as runs of those that follow each other.
  private static func runs(_ places: [Int]?, of count: Int) -> [Range<Int>] {
    guard let places else { return [0..<count] }
    var runs: [Range<Int>] = []
    for place in places {
      if let last = runs.last, last.upperBound == place {
        runs[runs.count - 1] = last.lowerBound..<place + 1
      } else {
        runs.append(place..<place + 1)
      }
    }
    return runs
  }
}
