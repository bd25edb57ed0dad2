import CKernels

/// Rows up to which packing a weight, as products of matrices do, takes longer than it saves.
private let fewRows = 32
/// How many of them are mapped at a time.
private let rowsAtATime = 4

/// Maps rows linearly: out [rows, outFeatures] = x [rows, inFeatures] · weight [outFeatures,
/// inFeatures] transposed + bias [outFeatures].
///
/// Rows of the result are `stride` elements apart, or contiguous where it is nil. Where `isSteady`, a
/// row's result has the same bits whatever other rows there are; few rows are otherwise mapped in a
/// way that is faster, and sums in another order.
package func linear(
  x: UnsafePointer<Float>,
  rows: Int,
  inFeatures: Int,
  weight: UnsafePointer<Float>,
  outFeatures: Int,
  bias: UnsafePointer<Float>?,
  out: UnsafeMutablePointer<Float>,
  stride: Int? = nil,
  isSteady: Bool = false,
  in arithmetic: ProductArithmetic = .float32,
  on workers: Workers
) {
  let stride = stride ?? outFeatures
  if arithmetic == .bfloat16 {
    precondition(stride == outFeatures, "rows of products of BF16 numbers are contiguous")
    bfloat16Product(
      BLAS.Factor(pointer: x, stride: inFeatures),
      BLAS.Factor(pointer: weight, stride: inFeatures, transposed: true),
      rows: rows,
      columns: outFeatures,
      inner: inFeatures,
      isAdded: false,
      to: out,
      on: workers
    )
    guard let bias else { return }
    for row in 0..<rows {
      kernels.add(out + row * outFeatures, bias, outFeatures, out + row * outFeatures)
    }
    return
  }
  guard rows > fewRows || isSteady else {
    linearFewRows(
      x: x,
      rows: rows,
      inFeatures: inFeatures,
      weight: weight,
      outFeatures: outFeatures,
      bias: bias,
      out: out,
      outStride: stride,
      on: workers
    )
    return
  }
  let height = 512
  let width = Int(KARAT_OUTPUT_BLOCK)
  let down = (rows + height - 1) / height
  workers.forEachTile(down * ((outFeatures + width - 1) / width)) { tile in
    let row = tile % down * height
    let output = tile / down * width
    let count = min(height, rows - row)
    let outputs = min(width, outFeatures - output)
    withScratch(kernels.linear_scratch(count, outputs)) { scratch in
      kernels.linear_tile(
        x + row * inFeatures,
        count,
        inFeatures,
        weight + output * inFeatures,
        outputs,
        bias.map { $0 + output },
        out + row * stride + output,
        stride,
        scratch
      )
    }
  }
}

/// Reads each weight once, at the speed of memory, and from the cache for further rows.
private func linearFewRows(
  x: UnsafePointer<Float>,
  rows: Int,
  inFeatures: Int,
  weight: UnsafePointer<Float>,
  outFeatures: Int,
  bias: UnsafePointer<Float>?,
  out: UnsafeMutablePointer<Float>,
  outStride: Int,
  on workers: Workers
) {
  let outputs = max(16, 2 * elementsPerTile / max(1, inFeatures) / 2 * 2)
  workers.forEachRun(of: outputs, in: outFeatures) { run in
    for row in stride(from: 0, to: rows, by: rowsAtATime) {
      kernels.linear_few_rows(
        x + row * inFeatures,
        min(rowsAtATime, rows - row),
        inFeatures,
        weight + run.lowerBound * inFeatures,
        run.count,
        bias.map { $0 + run.lowerBound },
        out + row * outStride + run.lowerBound,
        outStride
      )
    }
  }
}
