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
    /// Whether it is added to a part at the same place.
    let isAdded: Bool

    /// Writes a row times the factor, or adds it to what is there.
    func addRow(_ source: UnsafePointer<Float>?, to target: UnsafeMutablePointer<Float>?) {
      guard let source, var target else { return }
      for run in columns {
        for column in run {
          let number = source[column] * factor
          target.pointee = isAdded ? target.pointee + number : number
          target += 1
        }
      }
    }
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
    _ sums: [[TensorPart]],
    along axis: Int,
    of source: any TensorSource
  ) throws(CheckpointError) {
    var found: [Part] = []
    var dtypes: Set<DType> = []
    var (rows, columns) = (0, 0)
    var rank = 1
    for terms in sums {
      let (firstRow, firstColumn) = axis == 0 ? (rows, 0) : (0, columns)
      for (index, part) in terms.enumerated() {
        guard let info = source.manifest[part.tensor] else {
          throw .missing(part.tensor, in: "the teacher")
        }
        dtypes.insert(info.dtype)
        rank = info.shape.rank
        let width = rank == 2 ? info.shape[1] : 1
        let runs = rank == 2 ? Self.runs(part.places[1], of: width) : [0..<1]
        let count = part.places[0]?.count ?? info.shape[0]
        found.append(
          Part(
            tensor: part.tensor,
            rows: part.places[0],
            columns: runs,
            width: width,
            factor: part.factor,
            rowRange: firstRow..<firstRow + count,
            firstColumn: firstColumn,
            isAdded: index > 0
          )
        )
        rows = firstRow + count
        columns = firstColumn + runs.reduce(0) { $0 + $1.count }
      }
    }
    let parts = sums.joined()
    isComputed =
      dtypes.count > 1 || sums.contains { $0.count > 1 } || parts.contains { $0.factor != 1 }
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
    slice.withBytes { source in
      for (row, place) in zip(own, places) {
        let start = (row - rows.lowerBound) * width + part.firstColumn
        let first = (place - least) * part.width
        if isComputed {
          part.addRow(
            source.assumingMemoryBound(to: Float.self).baseAddress.map { $0 + first },
            to: bytes.assumingMemoryBound(to: Float.self).baseAddress.map { $0 + start }
          )
        } else {
          copyRow(part, source, at: first, to: bytes, at: start, size: working.block.bytes)
        }
      }
    }
  }

  private func copyRow(
    _ part: Part,
    _ source: UnsafeRawBufferPointer,
    at first: Int,
    to bytes: UnsafeMutableRawBufferPointer,
    at start: Int,
    size: Int
  ) {
    var target = start * size
    for run in part.columns {
      let own = (first + run.lowerBound) * size..<(first + run.upperBound) * size
      UnsafeMutableRawBufferPointer(rebasing: bytes[target..<target + own.count])
        .copyMemory(from: UnsafeRawBufferPointer(rebasing: source[own]))
      target += own.count
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
