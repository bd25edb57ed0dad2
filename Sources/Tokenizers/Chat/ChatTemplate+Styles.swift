import KaratBytes

extension ChatTemplate {
  func writeChatML(_ system: String?, _ user: String, to prompt: inout Prompt) {
    func turn(_ role: String, _ write: (inout Prompt) -> Void) {
      prompt.append(markup: "<|im_start|>\(role)\n")
      write(&prompt)
      prompt.append(markup: "<|im_end|>\n")
    }
    let isTrimmed = source.trimsContent
    if let system {
      turn("system") { $0.append(text: isTrimmed ? system.trimmed : system) }
    } else if let own = source.text(from: "<|im_start|>system\n", to: "<|im_end|>") {
      turn("system") { $0.append(markup: own) }
    }
    turn("user") { $0.append(text: isTrimmed ? user.trimmed : user) }
    let behind = source.literal(behindLast: "<|im_start|>assistant")
    prompt.append(markup: "<|im_start|>assistant" + (behind.isEmpty ? "\n" : behind))
  }

  func writeLlama3(_ system: String?, _ user: String, to prompt: inout Prompt) {
    func turn(_ role: String) {
      prompt.append(markup: "<|start_header_id|>\(role)<|end_header_id|>\n\n")
    }
    // From 3.1 on the model is always told how far its knowledge goes, and a day that is today.
    let knowledge = source.text(from: "Cutting Knowledge Date: ", to: "\n")
    if system != nil || knowledge != nil {
      turn("system")
      if let knowledge {
        prompt.append(
          markup: "Cutting Knowledge Date: \(knowledge)\nToday Date: 26 Jul 2024\n\n"
        )
      }
      prompt.append(text: (system ?? "").trimmed)
      prompt.append(markup: "<|eot_id|>")
    }
    turn("user")
    prompt.append(text: user.trimmed)
    prompt.append(markup: "<|eot_id|>")
    turn("assistant")
  }

  func writeDeepSeek(_ system: String?, _ user: String, to prompt: inout Prompt) {
    guard source.contains("<｜User｜>") else {
      if let system {
        prompt.append(text: system)
        prompt.append(markup: "\n\n")
      }
      prompt.append(markup: "User: ")
      prompt.append(text: user)
      prompt.append(markup: "\n\nAssistant:")
      return
    }
    if let system { prompt.append(text: system) }
    prompt.append(markup: "<｜User｜>")
    prompt.append(text: user)
    // V3.1 closes the thoughts at once unless it is asked to think.
    let closesThoughts = source.contains("not thinking") && source.hasLiteral("</think>")
    let behind =
      closesThoughts ? "</think>" : source.literal(behindLast: "<｜Assistant｜>")
    prompt.append(markup: "<｜Assistant｜>" + behind)
  }

  func writeMistral(_ system: String?, _ user: String, to prompt: inout Prompt) {
    let hasSystemMarks = source.contains("[SYSTEM_PROMPT]")
    if let system, hasSystemMarks {
      prompt.append(
        markup: source.contains("[SYSTEM_PROMPT] ") ? "[SYSTEM_PROMPT] " : "[SYSTEM_PROMPT]"
      )
      prompt.append(text: system)
      prompt.append(markup: "[/SYSTEM_PROMPT]")
    }
    prompt.append(markup: source.contains("[INST] ") ? "[INST] " : "[INST]")
    if let system, !hasSystemMarks {
      prompt.append(text: system)
      prompt.append(markup: "\n\n")
    }
    prompt.append(text: user)
    prompt.append(markup: source.contains(" [/INST]") ? " [/INST]" : "[/INST]")
  }
}

extension String {
  /// The text without white space at its ends.
  fileprivate var trimmed: String {
    String(
      decoding: Array(utf8).trimmed(left: true, right: true) { $0.properties.isWhitespace },
      as: UTF8.self
    )
  }
}
