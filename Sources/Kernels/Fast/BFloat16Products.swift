import CKernels

/// Whether the processor, and the instruction set in use, multiplies BF16 numbers.
package var hasBFloat16Products: Bool { karat_bfloat16() != nil }

/// Maps rows linearly as `linear` does, both factors rounded to BF16, ties to even: out [rows,
/// outFeatures] = x [rows, inFeatures] · weight [outFeatures, inFeatures] transposed + bias.
///
/// Sums are float32; subnormal factors count as 0.
///
/// - Precondition: `hasBFloat16Products`; so of the two gradients.
package func bfloat16Linear(
  x: UnsafePointer<Float>,
  rows: Int,
  inFeatures: Int,
  weight: UnsafePointer<Float>,
  outFeatures: Int,
  bias: UnsafePointer<Float>?,
  out: UnsafeMutablePointer<Float>,
  on workers: Workers
) {
  multiply(
    Factor(pointer: x, stride: inFeatures, isInnerContiguous: true),
    Factor(pointer: weight, stride: inFeatures, isInnerContiguous: true),
    rows: rows,
    columns: outFeatures,
    inner: inFeatures,
    accumulate: false,
    into: out,
    on: workers
  )
  guard let bias else { return }
  for row in 0..<rows {
    kernels.add(out + row * outFeatures, bias, outFeatures, out + row * outFeatures)
  }
}

/// Adds the gradient of a linear map by its input, factors rounded to BF16: dx [rows, inFeatures] +=
/// gradient [rows, outFeatures] · weight [outFeatures, inFeatures].
package func bfloat16InputGradient(
  gradient: UnsafePointer<Float>,
  rows: Int,
  inFeatures: Int,
  weight: UnsafePointer<Float>,
  outFeatures: Int,
  addTo dx: UnsafeMutablePointer<Float>,
  on workers: Workers
) {
  multiply(
    Factor(pointer: gradient, stride: outFeatures, isInnerContiguous: true),
    Factor(pointer: weight, stride: inFeatures, isInnerContiguous: false),
    rows: rows,
    columns: inFeatures,
    inner: outFeatures,
    accumulate: true,
    into: dx,
    on: workers
  )
}

/// Adds the gradient of a linear map by its weight, factors rounded to BF16: dw [outFeatures,
/// inFeatures] += gradient [rows, outFeatures] transposed · x [rows, inFeatures].
package func bfloat16WeightGradient(
  x: UnsafePointer<Float>,
  gradient: UnsafePointer<Float>,
  rows: Int,
  inFeatures: Int,
  outFeatures: Int,
  addTo dw: UnsafeMutablePointer<Float>,
  on workers: Workers
) {
  multiply(
    Factor(pointer: gradient, stride: outFeatures, isInnerContiguous: false),
    Factor(pointer: x, stride: inFeatures, isInnerContiguous: false),
    rows: outFeatures,
    columns: inFeatures,
    inner: rows,
    accumulate: true,
    into: dw,
    on: workers
  )
}

/// A factor of a product; its inner extent is the one that is summed over.
private struct Factor {
  let pointer: UnsafePointer<Float>
  /// How far numbers lie apart along the extent that is not contiguous.
  let stride: Int
  let isInnerContiguous: Bool

  /// Where a row of the first factor, or a column of the second, begins.
  func start(_ place: Int) -> UnsafePointer<Float> {
    pointer + (isInnerContiguous ? place * stride : place)
  }
}

/// c [rows, columns] = or += a · b.
private func multiply(
  _ a: Factor,
  _ b: Factor,
  rows: Int,
  columns: Int,
  inner: Int,
  accumulate: Bool,
  into c: UnsafeMutablePointer<Float>,
  on workers: Workers
) {
  guard let kernels = karat_bfloat16()?.pointee, rows > 0, inner > 0 else { return }
  let (height, width) = (Int(KARAT_BFLOAT16_ROWS), Int(KARAT_BFLOAT16_COLUMNS))
  let pairs = (inner + 1) / 2
  let panels = (rows + height - 1) / height
  // Enough columns that packing them costs little beside multiplying, few enough for a core's cache.
  let block = 3 * width
  withScratch(panels * height * pairs) { memory in
    let packed = UnsafeMutableRawPointer(memory).assumingMemoryBound(to: UInt32.self)
    workers.forEachTile(panels) { panel in
      kernels.pack(
        a.start(panel * height),
        a.stride,
        a.isInnerContiguous,
        min(height, rows - panel * height),
        inner,
        height,
        packed + panel * height * pairs
      )
    }
    workers.forEachRun(of: block, in: columns) { run in
      withScratch((run.count + width - 1) / width * width * pairs) { memory in
        let own = UnsafeMutableRawPointer(memory).assumingMemoryBound(to: UInt32.self)
        kernels.pack(
          b.start(run.lowerBound),
          b.stride,
          b.isInnerContiguous,
          run.count,
          inner,
          width,
          own
        )
        kernels.multiply(
          packed,
          rows,
          own,
          run.count,
          inner,
          c + run.lowerBound,
          columns,
          accumulate
        )
      }
    }
  }
}
