import CKernels

/// Whether the processor, and the instruction set in use, multiplies BF16 numbers.
package var hasBFloat16Products: Bool { karat_bfloat16() != nil }

/// Multiplies matrices whose numbers are rounded to BF16: target [rows, columns] = or += a [rows,
/// inner] · b [inner, columns].
///
/// - Precondition: `hasBFloat16Products`.
func bfloat16Product(
  _ a: BLAS.Factor,
  _ b: BLAS.Factor,
  rows: Int,
  columns: Int,
  inner: Int,
  isAdded: Bool,
  to target: UnsafeMutablePointer<Float>,
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
        a.row(panel * height).pointer,
        a.stride,
        !a.transposed,
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
          b.column(run.lowerBound).pointer,
          b.stride,
          b.transposed,
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
          target + run.lowerBound,
          columns,
          isAdded
        )
      }
    }
  }
}
