package import KaratGraphs
package import KaratKernels
package import KaratTensors

/// What a decoder's predictions lose: cross-entropy with the next tokens, divergence from a teacher,
/// or both, through the head of the graph.
///
/// The head is not run as part of the graph: logits come a few rows at a time, become their own
/// gradient in place, and are gone, so that memory holds `rowsAtATime · vocabulary` numbers and never
/// the logits of a batch.
package final class HeadLoss: Loss {
  /// What is known of each predicted token.
  package struct Target {
    /// The token that comes next, or −1 where nothing is predicted: [rows].
    package var labels: [Int32]
    /// The teacher's distribution, where there is a teacher.
    package var teacher: TeacherTarget?

    package init(labels: [Int32], teacher: TeacherTarget? = nil) {
      self.labels = labels
      self.teacher = teacher
    }
  }

  /// What a teacher gives for each row.
  package enum TeacherTarget {
    /// All its logits: fills F32[rows, vocabulary] for some of the rows.
    case logits(fill: (Range<Int>, UnsafeMutablePointer<Float>) throws -> Void)
    /// The most probable tokens [rows, count] and their logarithms of probability.
    case top(tokens: [Int32], logProbabilities: [Float], count: Int)
  }

  package let name = "prediction"
  package let weight = 1.0
  package let values: [ValueID]
  /// What the next batch is judged by.
  package var target = Target(labels: [])

  package var parameters: [TensorName] { [weightName] + (biasName.map { [$0] } ?? []) }
  private let weightName: TensorName
  private let biasName: TensorName?
  private let labelWeight: Double
  private let teacherWeight: Double
  private let divergence: Divergence
  private let temperature: Double
  private let rowsAtATime: Int
  /// How many numbers the head's weight has, and whether it learns; as the last batch found it.
  private var headSize = 0, isHeadTrained = false
  /// The sums of the two terms in the last batch, without their weights.
  package private(set) var parts = (labels: 0.0, teacher: 0.0)

  /// Judges the predictions of a graph.
  ///
  /// - Parameters:
  ///   - graph: names `logits`, the result of a linear layer with a parameter as its weight.
  ///   - labelWeight: what cross-entropy is multiplied by; 0 for none.
  ///   - teacherWeight: what the divergence from the teacher is multiplied by; 0 for none.
  ///   - divergence: how teacher and student are compared.
  ///   - temperature: what the logits of both are divided by for that.
  ///   - rowsAtATime: how many rows of logits are in memory at a time.
  /// - Throws: `EngineError` where the graph has no such head.
  package init(
    _ graph: Graph,
    labelWeight: Double = 1,
    teacherWeight: Double = 0,
    divergence: Divergence = .forward,
    temperature: Double = 1,
    rowsAtATime: Int = 128
  ) throws(EngineError) {
    guard let logits = graph.named["logits"], case .linear = graph.node(of: logits).op,
      let weight = graph.parameter(graph.node(of: logits).inputs[1])
    else {
      throw EngineError(
        "the model has no head in floating point, which training judges. Leave lm_head out of what is "
          + "quantized: ignore: [lm_head]."
      )
    }
    let node = graph.node(of: logits)
    values = [node.inputs[0]]
    weightName = weight.tensor
    biasName = node.inputs.count == 3 ? graph.parameter(node.inputs[2])?.tensor : nil
    self.labelWeight = labelWeight
    self.teacherWeight = teacherWeight
    self.divergence = divergence
    self.temperature = temperature
    self.rowsAtATime = rowsAtATime
  }

  /// How many tokens a graph predicts.
  package static func vocabulary(of graph: Graph) -> Int? {
    graph.named["logits"].flatMap { graph.type(of: $0).features }
  }

  package func operations(_ values: [Operand]) -> Double {
    2 * Double(values[0].rows) * Double(headSize) * (isHeadTrained ? 3 : 2)
  }

  package func evaluate(_ run: LossEvaluation) throws -> Double {
    let x = run.values[0]
    (headSize, isHeadTrained) = (
      run.parameters[weightName].count, run.parameters[weightName].gradient != nil
    )
    let weight = run.parameters[weightName]
    let bias = biasName.map { run.parameters[$0] }
    let vocabulary = weight.shape[0]
    precondition(target.labels.count == x.rows, "each row has a label, or -1")
    var losses = (
      labels: Array(repeating: 0.0, count: x.rows), teacher: Array(repeating: 0.0, count: x.rows)
    )
    try withUnsafeTemporaryAllocation(
      of: Float.self,
      capacity: min(rowsAtATime, x.rows) * vocabulary
    ) { logits in
      guard let logits = logits.baseAddress else { return }
      for first in stride(from: 0, to: x.rows, by: rowsAtATime) {
        let rows = first..<min(first + rowsAtATime, x.rows)
        // Rows at the end of a window predict nothing.
        guard rows.contains(where: { target.labels[$0] >= 0 }) else { continue }
        linear(
          x: x.floats + first * x.features,
          rows: rows.count,
          inFeatures: x.features,
          weight: weight.values,
          outFeatures: vocabulary,
          bias: bias?.values,
          out: logits,
          isSteady: true,
          on: run.workers
        )
        try judge(logits, rows, vocabulary, run.factor, &losses, on: run.workers)
        propagate(logits, rows, x, weight, bias, run)
      }
    }
    parts = (losses.labels.reduce(0, +), losses.teacher.reduce(0, +))
    return labelWeight * parts.labels + teacherWeight * parts.teacher
  }

  /// Turns some rows of logits into their gradients.
  private func judge(
    _ logits: UnsafeMutablePointer<Float>,
    _ rows: Range<Int>,
    _ vocabulary: Int,
    _ factor: Float,
    _ losses: inout (labels: [Double], teacher: [Double]),
    on workers: Workers
  ) throws {
    try target.labels.withUnsafeBufferPointer { labels in
      try losses.labels.withUnsafeMutableBufferPointer { labelLosses in
        try losses.teacher.withUnsafeMutableBufferPointer { teacherLosses in
          guard let labels = labels.baseAddress, let labelLosses = labelLosses.baseAddress,
            let teacherLosses = teacherLosses.baseAddress
          else { return }
          try withTeacher(rows, vocabulary) { teacher in
            tokenLosses(
              logits: logits,
              rows: rows.count,
              vocabulary: vocabulary,
              labels: LabelTerm(
                labels: labels + rows.lowerBound,
                factor: factor * Float(labelWeight),
                losses: labelLosses + rows.lowerBound
              ),
              teacher: teacher.map {
                TeacherTerm(
                  rows: $0,
                  divergence: divergence,
                  temperature: Float(temperature),
                  factor: factor * Float(teacherWeight),
                  losses: teacherLosses + rows.lowerBound
                )
              },
              on: workers
            )
          }
        }
      }
    }
  }

  private func withTeacher(
    _ rows: Range<Int>,
    _ vocabulary: Int,
    _ body: (TeacherRows?) -> Void
  ) throws {
    guard teacherWeight != 0 else { return body(nil) }
    switch target.teacher {
    case nil: body(nil)
    case .logits(let fill):
      try withUnsafeTemporaryAllocation(of: Float.self, capacity: rows.count * vocabulary) {
        guard let logits = $0.baseAddress else { return }
        try fill(rows, logits)
        body(.dense(logits))
      }
    case .top(let tokens, let logProbabilities, let count):
      tokens.withUnsafeBufferPointer { tokens in
        logProbabilities.withUnsafeBufferPointer { numbers in
          guard let tokens = tokens.baseAddress, let numbers = numbers.baseAddress else { return }
          body(
            .sparse(
              indices: tokens + rows.lowerBound * count,
              logProbabilities: numbers + rows.lowerBound * count,
              count: count
            )
          )
        }
      }
    }
  }

  /// Passes the gradients of some rows of logits on to what the head reads.
  private func propagate(
    _ gradient: UnsafePointer<Float>,
    _ rows: Range<Int>,
    _ x: Operand,
    _ weight: ParameterSet.Item,
    _ bias: ParameterSet.Item?,
    _ run: LossEvaluation
  ) {
    let place = rows.lowerBound * x.features
    if let target = run.gradient {
      linearInputGradient(
        gradient: gradient,
        rows: rows.count,
        inFeatures: x.features,
        weight: weight.values,
        outFeatures: weight.shape[0],
        addTo: target.mutableFloats + place,
        on: run.workers
      )
    }
    if let target = weight.gradient {
      linearWeightGradient(
        x: x.floats + place,
        gradient: gradient,
        rows: rows.count,
        inFeatures: x.features,
        outFeatures: weight.shape[0],
        addTo: target,
        on: run.workers
      )
    }
    if let target = bias?.gradient {
      addColumnSums(
        of: gradient,
        rows: rows.count,
        features: weight.shape[0],
        addTo: target,
        on: run.workers
      )
    }
  }
}
