import Foundation
import Karat
import Synchronization

/// What the user sees: results on standard output, progress and messages on standard error.
final class Terminal: Sendable {
  static let standard = Terminal()

  private let isInteractive = isatty(STDERR_FILENO) == 1
  private let state = Mutex(State())

  private struct State {
    var task = ""
    var begun = ContinuousClock.now
    var shown = ContinuousClock.now
    var isLineOpen = false
  }

  /// Prints a result.
  func result(_ text: String) {
    closeLine()
    stream(text + "\n")
  }

  /// Prints part of a result without a line break.
  func stream(_ text: String) {
    guard let error = writeAll(text, to: STDOUT_FILENO) else { return }
    message("karat: \(FileError(errno: error, "standard output", .write))")
    exit(Failure.Code.inputOutput)
  }

  /// Prints a message.
  func message(_ text: String) {
    closeLine()
    write(text + "\n")
  }

  /// Shows how far work is: a bar on a terminal, a line every few seconds elsewhere.
  var progress: ProgressReporter {
    ProgressReporter { [self] step in show(step) }
  }

  /// Shows a step of training: loss, rate, speed, and the time that is left.
  func show(_ task: String, _ metrics: TrainingMetrics, of steps: Int) {
    let speed = Double(metrics.tokens) / max(metrics.seconds, 1e-9)
    show(
      ProgressReporter.Step(task: task, done: metrics.step, total: steps, unit: "steps"),
      [
        String(format: "loss %.4f", metrics.loss), String(format: "rate %.2e", metrics.rate),
        String(format: "%.0f tokens/s", speed),
      ] + (metrics.isSkipped ? ["skipped: a gradient overflowed"] : [])
    )
  }

  private func show(_ step: ProgressReporter.Step, _ details: [String] = []) {
    let now = ContinuousClock.now
    let text: String? = state.withLock { state in
      if state.task != step.task || step.done == 0 {
        state.task = step.task
        state.begun = now
        state.shown = now - .seconds(60)
      }
      let isLast = step.done >= step.total
      let pause = isInteractive ? Duration.milliseconds(100) : .seconds(5)
      guard now - state.shown >= pause || isLast else { return nil }
      state.shown = now
      let line = Self.line(step, details, elapsed: now - state.begun, isInteractive: isInteractive)
      guard isInteractive else { return line + "\n" }
      state.isLineOpen = !isLast
      return "\r\u{1b}[K" + line + (isLast ? "\n" : "")
    }
    if let text { write(text) }
  }

  private static func line(
    _ step: ProgressReporter.Step,
    _ details: [String],
    elapsed: Duration,
    isInteractive: Bool
  ) -> String {
    let seconds = Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) / 1e18
    let fraction = step.total > 0 ? Double(step.done) / Double(step.total) : 1
    var parts =
      [
        "\(step.task): \(progress(step))"
      ] + details
    if isInteractive {
      let filled = Int(fraction * 24)
      let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: 24 - filled)
      parts.insert(bar, at: 0)
    }
    if step.done > 0, seconds > 0.05 {
      let rate = Double(step.done) / seconds
      parts.append("\(amount(rate, step.unit))/s")
      let left = Double(step.total - step.done) / rate
      parts.append(step.done < step.total ? "\(time(left)) left" : time(seconds))
    }
    return parts.joined(separator: "  ")
  }

  private static func progress(_ step: ProgressReporter.Step) -> String {
    step.unit == "bytes"
      ? "\(amount(Double(step.done), step.unit)) of \(amount(Double(step.total), step.unit))"
      : "\(step.done) of \(step.total) \(step.unit)"
  }

  private static func amount(_ count: Double, _ unit: String) -> String {
    unit == "bytes"
      ? String(format: "%.1f MB", count / 1e6) : String(format: "%.1f ", count) + unit
  }

  private static func time(_ seconds: Double) -> String {
    let whole = Int(seconds.rounded())
    return whole < 60 ? "\(whole) s" : "\(whole / 60) min \(whole % 60) s"
  }

  private func closeLine() {
    let wasOpen = state.withLock { state in
      defer { state.isLineOpen = false }
      return state.isLineOpen
    }
    if wasOpen { write("\n") }
  }

  private func write(_ text: String) {
    // Where even messages cannot go, nothing can be said about it.
    _ = writeAll(text, to: STDERR_FILENO)
  }
}

/// Writes text to a descriptor, and gives the system's error number where it refuses.
private func writeAll(_ text: String, to descriptor: Int32) -> Int32? {
  var rest = Array(text.utf8)[...]
  while !rest.isEmpty {
    let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
    if count >= 0 {
      rest = rest.dropFirst(count)
    } else if errno != EINTR {
      return errno
    }
  }
  return nil
}

extension JSONValue {
  /// The document as text, indented.
  var text: String { String(decoding: serialized(indent: 2), as: UTF8.self) }
}
