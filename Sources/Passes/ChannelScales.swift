import KaratKernels
import KaratTensors
import Synchronization

/// A weight [out, in] of a source on its way to integer codes, with one scale for each row.
///
/// The scale makes a row's largest magnitude the largest code. Scales are found once, when they or codes are
/// first pulled, and kept in a store, so that a weight is read twice: for them, and for its codes.
/// Codes of any run of elements can be had alone, so that a weight larger than memory is quantized
/// like any other.
final class ChannelScales: Sendable {
  private let name: TensorName
  private let rows: Int
  private let columns: Int
  /// The largest code.
  private let limit: Float
  private let source: any TensorSource
  private let store: ScaleStore
  private let workers: Workers
  private let found: Mutex<ScaleStore.Place?> = Mutex(nil)

  init(
    of name: TensorName,
    _ shape: Shape,
    _ scheme: Scheme,
    in source: any TensorSource,
    keptIn store: ScaleStore,
    on workers: Workers
  ) {
    self.name = name
    self.store = store
    rows = shape[0]
    columns = shape[1]
    limit = scheme.limit
    self.source = source
    self.workers = workers
  }

  /// The scale of each row; a row of zeros gets 1, since any scale represents it.
  ///
  /// - Throws: `CheckpointError` where the weight cannot be had or holds NaN or infinity, or the scales
  ///   cannot be kept.
  func values() throws(CheckpointError) -> [Float] { try values(0..<rows) }

  private func values(_ rows: Range<Int>) throws(CheckpointError) -> [Float] {
    let place = try found.withLock { found throws(CheckpointError) in
      if let found { return found }
      let values = try largest().map { [limit] largest in
        let scale = largest / limit
        return scale >= .leastNormalMagnitude ? scale : 1
      }
      let place = try store.keep(values)
      found = place
      return place
    }
    return try store.scales(rows, at: place)
  }

  /// The codes of a run of elements in row-major order, I8.
  ///
  /// - Throws: as `values()` does.
  func codes(_ run: Range<Int>) throws(CheckpointError) -> Tensor {
    let isWhole = run.count == rows * columns
    let firstRow = run.lowerBound / max(columns, 1)
    let scales = try values(firstRow..<(run.upperBound + columns - 1) / max(columns, 1))
    let weight = try floats(run)
    return Tensor(.i8, [run.count]) { bytes in
      guard let out = bytes.baseAddress?.assumingMemoryBound(to: Int8.self) else { return }
      weight.withFloats { elements in
        if isWhole {
          quantizeRows(
            weight: elements,
            rows: rows,
            columns: columns,
            scales: scales,
            limit: limit,
            out: out,
            on: workers
          )
          return
        }
        forEachRow(in: run) { row, part in
          let start = part.lowerBound - run.lowerBound
          quantizeRows(
            weight: elements + start,
            rows: 1,
            columns: part.count,
            scales: [scales[row - firstRow]],
            limit: limit,
            out: out + start,
            on: Workers(threads: 1)
          )
        }
      }
    }
  }

  /// The largest magnitude of each row.
  private func largest() throws(CheckpointError) -> [Float] {
    var largest = Array(repeating: Float(0), count: rows)
    let info = TensorInfo(.f32, [rows, columns])
    let runs = source.isDivisible(name) ? info.runs(ofBytes: 4 << 20) : [0..<rows * columns]
    for run in runs where !run.isEmpty {
      let weight = try floats(run)
      var unfit: Int?
      weight.withFloats { elements in
        forEachRow(in: run) { row, part in
          let range = minMax(elements + (part.lowerBound - run.lowerBound), count: part.count)
          largest[row] = max(largest[row], -range.min, range.max)
          if !range.finite { unfit = unfit ?? row }
        }
      }
      if let unfit {
        throw CheckpointError(
          .malformed,
          tensor: name,
          "row \(unfit) holds NaN or infinity, which no scale can represent. Mend the checkpoint,"
            + " or leave the layer out with ignore."
        )
      }
    }
    return largest
  }

  private func floats(_ run: Range<Int>) throws(CheckpointError) -> Tensor {
    guard run.count < rows * columns else { return try source.tensor(name).asFloat32(on: workers) }
    return try source.elements(run, of: name).asFloat32(on: Workers(threads: 1))
  }

  /// Calls `body` with each row that a run touches, and the part of the run that lies in it.
  private func forEachRow(in run: Range<Int>, _ body: (_ row: Int, _ part: Range<Int>) -> Void) {
    var start = run.lowerBound
    while start < run.upperBound {
      let row = start / columns
      let end = min((row + 1) * columns, run.upperBound)
      body(row, start..<end)
      start = end
    }
  }
}
