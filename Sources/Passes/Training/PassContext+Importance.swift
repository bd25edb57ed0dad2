import KaratEngine
import KaratGraphs

extension PassContext {
  /// What the parts of a model matter to what it computes on some windows of the text: enough to rank
  /// them (Muralidharan et al., 2024, take as many).
  ///
  /// - Parameters:
  ///   - model: what runs.
  ///   - ofLayers: whether what leaving out each layer costs is measured too, which takes far longer.
  /// - Returns: what was measured.
  /// - Throws: `DatasetError` where the text is shorter than a window, and what running the model
  ///   throws.
  func importance(of model: Model, ofLayers: Bool) throws -> Importance {
    let windows = try windows(count: 16, length: 256)
    let executor = Executor(model, threads: threads, memory: memory)
    var importance = try executor.importance(windows, progress: progress)
    guard ofLayers else { return importance }
    importance.layers = try executor.layerCosts(windows, progress: progress)
    return importance
  }
}
