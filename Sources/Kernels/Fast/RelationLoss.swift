import CKernels

/// The sizes of a comparison of relations between the tokens of sequences.
package struct RelationShape: Sendable, Hashable {
  /// Sequences, and tokens of each.
  package var batch, length: Int
  /// Elements of a token's vector in the student and in the teacher: multiples of `heads`.
  package var studentFeatures, teacherFeatures: Int
  /// How many relation heads the vectors of both are cut into.
  package var heads: Int
  /// Whether a token relates to none behind it.
  package var causal: Bool

  /// States all sizes.
  package init(
    batch: Int,
    length: Int,
    studentFeatures: Int,
    teacherFeatures: Int,
    heads: Int,
    causal: Bool
  ) {
    precondition(
      heads > 0 && studentFeatures % heads == 0 && teacherFeatures % heads == 0,
      "relation heads must cut the vectors of both into equal parts"
    )
    self.batch = batch
    self.length = length
    self.studentFeatures = studentFeatures
    self.teacherFeatures = teacherFeatures
    self.heads = heads
    self.causal = causal
  }
}

/// How far the relations between a student's tokens are from its teacher's (MiniLM, Wang et al., 2020;
/// relation heads as in MiniLMv2, Wang et al., 2021).
///
/// The vectors of queries, or keys, or values, student and teacher [batch, length, features], are cut
/// into relation heads A [length, d], d = features / heads. A token's relations are its row of
/// softmax(A · Aᵀ / √d), over the tokens whose number in `mask` [batch, length] is not 0 (nil: all) and,
/// where causal, over those up to itself. The result is the mean of KL(teacher ‖ student) over all heads
/// and all tokens that are not masked; factor · its gradient is added to `addTo`, shaped as `student`.
///
/// Memory is that of two matrices [length, length] for each thread.
package func relationLoss(
  student: UnsafePointer<Float>,
  teacher: UnsafePointer<Float>,
  shape: RelationShape,
  mask: UnsafePointer<Int32>?,
  factor: Float,
  addTo sums: UnsafeMutablePointer<Float>?,
  on workers: Workers
) -> Double {
  let tokens = shape.batch * shape.length
  let scored = mask.map { mask in (0..<tokens).count { mask[$0] != 0 } } ?? tokens
  guard scored > 0 else { return 0 }
  let count = Double(scored * shape.heads)
  let call = RelationCall(
    student: student,
    teacher: teacher,
    shape: shape,
    mask: mask,
    factor: Float(Double(factor) / count),
    sums: sums
  )
  let parts = workers.results(ofRuns: 1, in: shape.batch * shape.heads) { run in
    call.loss(sequence: run.lowerBound / shape.heads, head: run.lowerBound % shape.heads)
  }
  return parts.reduce(0, +) / count
}

private struct RelationCall {
  let student, teacher: UnsafePointer<Float>
  let shape: RelationShape
  let mask: UnsafePointer<Int32>?
  /// What each row's gradient is multiplied by.
  let factor: Float
  let sums: UnsafeMutablePointer<Float>?

  /// Adds one head's gradient, and returns the sum of its tokens' divergences.
  func loss(sequence: Int, head: Int) -> Double {
    let length = shape.length
    let width = shape.studentFeatures / shape.heads
    let first = sequence * length * shape.studentFeatures + head * width
    var loss = 0.0
    withScratch(2 * length * length) { scores in
      let teacherScores = scores + length * length
      relations(student + first, width, shape.studentFeatures, scores)
      let teacherWidth = shape.teacherFeatures / shape.heads
      relations(
        teacher + sequence * length * shape.teacherFeatures + head * teacherWidth,
        teacherWidth,
        shape.teacherFeatures,
        teacherScores
      )
      for token in 0..<length {
        loss += compare(sequence: sequence, token, scores, teacherScores)
      }
      guard let sums else { return }
      // The scores' gradient G meets both factors of A · Aᵀ: (G + Gᵀ) · A.
      for isTransposed in [false, true] {
        BLAS.multiply(
          BLAS.Factor(pointer: scores, stride: length, transposed: isTransposed),
          BLAS.Factor(pointer: student + first, stride: shape.studentFeatures),
          m: length,
          n: width,
          k: length,
          beta: 1,
          into: sums + first,
          stride: shape.studentFeatures
        )
      }
    }
    return loss
  }

  /// A · Aᵀ / √width.
  private func relations(
    _ vectors: UnsafePointer<Float>,
    _ width: Int,
    _ stride: Int,
    _ scores: UnsafeMutablePointer<Float>
  ) {
    BLAS.multiply(
      BLAS.Factor(pointer: vectors, stride: stride),
      BLAS.Factor(pointer: vectors, stride: stride, transposed: true),
      m: shape.length,
      n: shape.length,
      k: width,
      beta: 0,
      into: scores,
      stride: shape.length
    )
    let root = 1 / Float(width).squareRoot()
    for place in 0..<shape.length * shape.length { scores[place] *= root }
  }

  /// Turns a token's row of scores into their gradient.
  private func compare(
    sequence: Int,
    _ token: Int,
    _ scores: UnsafeMutablePointer<Float>,
    _ teacherScores: UnsafeMutablePointer<Float>
  ) -> Double {
    let length = shape.length
    let row = scores + token * length
    let teacherRow = teacherScores + token * length
    let visible = shape.causal ? token + 1 : length
    let mask = mask.map { $0 + sequence * length }
    if let mask, mask[token] == 0 {
      row.update(repeating: 0, count: length)
      return 0
    }
    if let mask {
      for key in 0..<visible where mask[key] == 0 {
        row[key] = -.infinity
        teacherRow[key] = -.infinity
      }
    }
    (row + visible).update(repeating: 0, count: length - visible)
    var distillation = karat_distillation(
      divergence: KARAT_FORWARD,
      temperature: 1,
      teacher_share: 0.5
    )
    let root = 1 / Float(shape.studentFeatures / shape.heads).squareRoot()
    return kernels.distil(&distillation, row, teacherRow, visible, 0, factor * root).divergence
  }
}
