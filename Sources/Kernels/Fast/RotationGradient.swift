import CKernels

/// Adds the gradient of `rope` by its input: the gradient by its result, rotated by the negative
/// angles; elements that do not turn pass as they are.
///
/// gradient and dx are [batch, length, heads, headSize]; element t of a sequence uses row `start + t`
/// of cosines and sines [positions, rotated.count / 2].
package func ropeGradient(
  gradient: UnsafePointer<Float>,
  shape: RotaryShape,
  cosines: UnsafePointer<Float>,
  sines: UnsafePointer<Float>,
  start: Int,
  addTo dx: UnsafeMutablePointer<Float>,
  on workers: Workers
) {
  forEachRunOfPositions(shape, start: start, on: workers) { rotation, run in
    kernels.rope_gradient(
      rotation,
      gradient + run.offset,
      run.positions,
      cosines + run.angle,
      sines + run.angle,
      dx + run.offset
    )
  }
}
