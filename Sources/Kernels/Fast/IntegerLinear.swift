import CKernels
import Synchronization

/// INT8 weights of a linear map, packed as the integer products read them.
///
/// Panels of 32 outputs, in each of them 4 consecutive inputs of an output together; odd sizes are
/// filled up with zeros.
package final class PackedInt8Weight: Sendable {
  /// Inputs up to which no Int32 accumulator overflows: each product is at most 255 · 128 in size.
  package static let maximumInnerSize = Int(Int32.max) / (255 * 128)

  /// The sizes of the map.
  package let outFeatures, inFeatures: Int
  /// The sum of each output's codes [outFeatures].
  package let rowSums: [Int32]
  /// Bytes in memory.
  package var byteCount: Int { panelCount * panelBytes + outFeatures * MemoryLayout<Int32>.stride }

  let panelCount, panelBytes: Int
  /// Never written after `init`.
  nonisolated(unsafe) let panels: UnsafeMutablePointer<Int8>

  /// Packs codes [outFeatures, inFeatures].
  package convenience init(
    codes: UnsafePointer<Int8>,
    outFeatures: Int,
    inFeatures: Int,
    on workers: Workers
  ) {
    let all = UnsafeRawBufferPointer(start: codes, count: outFeatures * inFeatures)
    self.init(
      outFeatures: outFeatures,
      inFeatures: inFeatures,
      rowsAtATime: max(1, elementsPerTile / max(1, inFeatures)),
      on: workers
    ) { (rows, body: (UnsafeRawBufferPointer) -> Void) in
      let run = rows.lowerBound * inFeatures..<rows.upperBound * inFeatures
      body(UnsafeRawBufferPointer(rebasing: all[run]))
    }
  }

  /// Packs codes that are lent some rows at a time, on several threads at once.
  ///
  /// - Parameters:
  ///   - outFeatures: rows of the codes.
  ///   - inFeatures: columns of the codes.
  ///   - rowsAtATime: about how many rows to ask for; whole panels are.
  ///   - workers: what the work is split over.
  ///   - lend: gives a range of rows, I8[rows, inFeatures], for the time of a call.
  /// - Throws: what `lend` throws first.
  package init<E: Error>(
    outFeatures: Int,
    inFeatures: Int,
    rowsAtATime: Int,
    on workers: Workers,
    _ lend: (Range<Int>, (UnsafeRawBufferPointer) -> Void) throws(E) -> Void
  ) throws(E) {
    precondition(
      inFeatures <= Self.maximumInnerSize,
      "INT32 accumulators would overflow over so many inputs"
    )
    let outputs = Int(KARAT_PANEL_OUTPUTS)
    let inputs = Int(KARAT_PANEL_INPUTS)
    let panelCount = (outFeatures + outputs - 1) / outputs
    let panelBytes = (inFeatures + inputs - 1) / inputs * inputs * outputs
    let panels = UnsafeMutableRawPointer.allocate(
      byteCount: max(1, panelCount * panelBytes),
      alignment: 64
    ).bindMemory(to: Int8.self, capacity: max(1, panelCount * panelBytes))
    let failure: Mutex<E?> = Mutex(nil)

    rowSums = [Int32](unsafeUninitializedCapacity: outFeatures) { sums, count in
      guard let base = sums.baseAddress else { return }
      workers.forEachRun(of: max(1, rowsAtATime / outputs), in: panelCount) { run in
        guard failure.withLock({ $0 == nil }) else { return }
        let rows = run.lowerBound * outputs..<min(run.upperBound * outputs, outFeatures)
        do throws(E) {
          try lend(rows) { codes in
            guard let codes = codes.baseAddress?.assumingMemoryBound(to: Int8.self) else { return }
            for panel in run {
              let first = panel * outputs
              karat_pack_panel(
                codes + (first - rows.lowerBound) * inFeatures,
                min(outputs, outFeatures - first),
                inFeatures,
                panels + panel * panelBytes,
                base + first
              )
            }
          }
        } catch {
          failure.withLock { $0 = $0 ?? error }
        }
      }
      count = outFeatures
    }
    self.outFeatures = outFeatures
    self.inFeatures = inFeatures
    self.panelCount = panelCount
    self.panelBytes = panelBytes
    self.panels = panels
    if let failure = failure.withLock(\.self) { throw failure }
  }

  deinit { panels.deallocate() }
}

/// Maps quantized rows linearly in integers: out [rows, outFeatures] =
/// Float(Σ (x - zeroPoint) · code) · (scale · weightScales[out]) + bias[out].
///
/// `scales` holds the scale of all rows [1], or where `isPerRow` that of each [rows].
///
/// The sum is exact, and the float operations are neither fused nor reordered: all instruction sets
/// give the same bits.
package func integerLinear(
  x: UnsafePointer<UInt8>,
  rows: Int,
  weight: PackedInt8Weight,
  scales: UnsafePointer<Float>,
  isPerRow: Bool = false,
  zeroPoint: UInt8,
  weightScales: UnsafePointer<Float>,
  bias: UnsafePointer<Float>?,
  out: UnsafeMutablePointer<Float>,
  on workers: Workers
) {
  forEachTile(
    x: x,
    rows: rows,
    weight: weight,
    scales: scales,
    isPerRow: isPerRow,
    zeroPoint: zeroPoint,
    weightScales: weightScales,
    bias: bias,
    on: workers
  ) { product, rows, panels in
    kernels.integer_linear(
      product,
      rows.lowerBound,
      rows.count,
      panels.lowerBound,
      panels.count,
      out
    )
  }
}

/// Multiplies codes exactly: out [rows, outFeatures] = Σ x · code.
package func integerAccumulate(
  x: UnsafePointer<UInt8>,
  rows: Int,
  weight: PackedInt8Weight,
  out: UnsafeMutablePointer<Int32>,
  on workers: Workers
) {
  // Scales do not enter.
  withUnsafeTemporaryAllocation(of: Float.self, capacity: 1) { none in
    guard let none = none.baseAddress else { return }
    forEachTile(
      x: x,
      rows: rows,
      weight: weight,
      scales: none,
      isPerRow: false,
      zeroPoint: 0,
      weightScales: none,
      bias: nil,
      on: workers
    ) { product, rows, panels in
      kernels.integer_accumulate(
        product,
        rows.lowerBound,
        rows.count,
        panels.lowerBound,
        panels.count,
        out
      )
    }
  }
}

/// Cuts the product into tiles whose rows stay in a core's cache while panels stream by.
private func forEachTile(
  x: UnsafePointer<UInt8>,
  rows: Int,
  weight: PackedInt8Weight,
  scales: UnsafePointer<Float>,
  isPerRow: Bool,
  zeroPoint: UInt8,
  weightScales: UnsafePointer<Float>,
  bias: UnsafePointer<Float>?,
  on workers: Workers,
  _ body: (UnsafePointer<karat_integer_product>, _ rows: Range<Int>, _ panels: Range<Int>) -> Void
) {
  let height = min(rows, max(12, 393_216 / max(1, weight.inFeatures) / 12 * 12))
  let bytesPerTile = height > 4 ? 131_072 : 65_536
  let width = min(
    Int(KARAT_PANELS_AT_A_TIME),
    max(1, bytesPerTile / max(1, weight.panelBytes))
  )
  let across = (weight.panelCount + width - 1) / width
  let down = height == 0 ? 0 : (rows + height - 1) / height
  weight.rowSums.withUnsafeBufferPointer { rowSums in
    guard let rowSums = rowSums.baseAddress else { return }
    let product = karat_integer_product(
      x: x,
      inputs: weight.inFeatures,
      panels: weight.panels,
      row_sums: rowSums,
      weight_scales: weightScales,
      bias: bias,
      scales: scales,
      scale_per_row: isPerRow,
      zero_point: Int32(zeroPoint),
      outputs: weight.outFeatures
    )
    withUnsafePointer(to: product) { product in
      workers.forEachTile(across * down) { tile in
        let row = tile % down * height
        let panel = tile / down * width
        body(
          product,
          row..<min(rows, row + height),
          panel..<min(weight.panelCount, panel + width)
        )
      }
    }
  }
}
