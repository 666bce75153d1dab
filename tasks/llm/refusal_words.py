"""The words by which servers say why they refuse: one pattern for each meaning.

Sources: error objects of OpenAI, Azure, Anthropic, Gemini, Bedrock, xAI, Mistral, Groq, Cohere,
DeepSeek, Together, Fireworks, Hugging Face, watsonx, Cloudflare, OpenRouter, LiteLLM, GitHub
Models, Zhipu, Moonshot, DashScope, Novita, SiliconFlow, LM Studio, TabbyAPI, vLLM and others. Not
here: what follows from a meaning (`llm.refusals`), parameters (`llm.unsupported`), sizes
(`llm.size_limits`).
"""

from __future__ import annotations

import re

_MONEY_NOUNS = r"(?:balance|credits?|funds|quota|budget|allowance|allocation|neurons)"

NO_CAPACITY = re.compile(r"resource[_ ]unavailable|no[_ ]capacity|capacity[_ ]exceeded", re.I)
RATE = re.compile(
    r"rate.?limit|too many|per (?:second|minute)|\b[rt]pm\b|(?:try|retry) again"
    r"|RESOURCE_EXHAUSTED|throttl|limit (?:was |has been |is )?(?:reached|exceeded)",
    re.I,
)
MONEY = re.compile(
    r"billing|credit|balance|payment|spend|top.?up|purchase|plan\b|invoice|余额|额度|欠费|充值",
    re.I,
)
"""Words about money: a refusal with one of them is no throttle."""
QUOTA = re.compile(
    r"insufficient_quota|_spend_limit_exceeded\b|\bcredit_balance_exhausted\b"
    r"|_usage_limit_exceeded\b|billing_hard_limit_reached|insufficient_balance|budget_exceeded"
    r"|exceeded_current_quota_error|token_quota_reached|\barrearage\b|account_overdue"
    r"|insufficient (?:balance|credits?|funds)|credit balance is too low|exceeded (?:your )?budget"
    r"|budget has been exceeded|\bover budget\b|payment required"
    rf"|not[_ ]enough[_ ](?:\w+[_ ])?{_MONEY_NOUNS}\b|no (?:more )?credits? (?:left|remaining)"
    rf"|out of {_MONEY_NOUNS}\b|\b{_MONEY_NOUNS} (?:is |are )?(?:insufficient|depleted|exhausted)"
    rf"|used (?:up )?all (?:of )?(?:your |the )?(?:available )?{_MONEY_NOUNS}\b"
    rf"|used up (?:all )?(?:of )?(?:your |the )?(?:\w+ ){{0,3}}{_MONEY_NOUNS}\b"
    rf"|credits? (?:have |has |is |are )?(?:been )?(?:expired|exhausted|depleted|used up)"
    r"|credit limit (?:\w+ )?(?:exceeded|reached)|exceeded your (?:\w+ ){0,2}credits?\b"
    r"|(?:reached|exceeded|hit) (?:its|your|the|their) (?:\w+ ){0,4}"
    r"(?:spend(?:ing)?|usage|billing|budget) (?:limits?|caps?)\b"
    r"|reaching the (?:\w+ )?spending limit|exceeding your monthly (?:\w+ )?quota"
    r"|monthly (?:\w+ )?quota (?:has been |is )?(?:exceeded|reached)"
    r"|account (?:\S+ )?is (?:suspended|in arrears)|account is in good standing"
    r"|out of call volume quota|insufficient_user_quota"
    r"|余额不足|账户欠费|已欠费|额度(?:不足|已用尽)|预扣费额度失败",
    re.I,
)
KEY = re.compile(
    r"\b(?:api[ _-]?key|api token|access token|auth\w* token|credentials?)\b.{0,40}"
    r"\b(?:not valid|invalid|incorrect|missing|expired|revoked|not found|required)"
    r"|\b(?:invalid|incorrect|missing|expired|revoked|unknown|no)[ _](?:\w+[ _-])?api[ _-]?"
    r"(?:key|token)|\b(?:bad|invalid) credentials|security token .{0,40}(?:expired|invalid)"
    r"|invalid_api_key|api_key_invalid|invalidapikey|authentication[_ ]error|authentication failed"
    r"|invalid authentication"
    r"|no connected db|failed to authenticate|\bunauthenticated\b",
    re.I,
)
MODEL = re.compile(
    r"model_not_found|model_not_supported|invalid_model|unknown_model|model_not_available"
    r"|model_decommissioned|model_access_denied"
    r"|\bmodel\b.{0,80}\b(?:does not exist|not found|not exist|is(?: not|n.t) supported"
    r"|not available|unknown|not a valid|identifier is invalid)"
    r"|\bmodel\b.{0,80}\b(?:decommissioned|has been (?:retired|deprecated|removed|sunset)"
    r"|no longer (?:supported|available)|end of life)"
    r"|\b(?:unknown|invalid|no such|unsupported)\s+model\b|not a valid model|invalid model name"
    r"|(?:unable|not able|not allowed|cannot|no) (?:to )?access (?:to )?(?:the |this )?model"
    r"|does not have access to (?:the )?model|on-demand throughput is(?: not|n.t) supported"
    r"|no models? (?:is |are )?(?:currently )?loaded",
    re.I,
)
NO_ACCESS = re.compile(
    r"model_not_found|model_access_denied|\bno access to model"
    r"|(?:not allowed to|does(?: not|n.t) have) access (?:to )?(?:the )?model",
    re.I,
)
"""A key that is good, for other models than the one that was asked for."""
ADDRESS = re.compile(r"unexpected endpoint|unknown endpoint|invalid url|cannot post|no route", re.I)
"""An answer from a server that has nothing at this address."""
OVERLOAD = re.compile(r"overload|over capacity|server is busy|server busy|at capacity", re.I)
BROKEN = re.compile(
    r"\bhas crashed|\bmodel (?:was |is |has been |has )?unloaded|out of memory|failed to load model"
    r"|runner process|backend (?:is )?(?:down|unavailable)|worker (?:has )?died"
    r"|no healthy (?:deployments?|upstreams?|backends?)",
    re.I,
)
"""The server's own trouble, in the status of a request that is refused."""
WITHHELD = re.compile(
    r"content[_ ]?(?:policy|filter|management|violates)|moderation|flagged|safety system"
    r"|responsible.?ai|data policy|invalid_prompt|prohibited[_ ]content"
    r"|usage (?:policies|guidelines)"
    r"|violat\w+ .{0,30}(?:polic|terms|guideline)|sensitive[_ ]words"
    r"|blocked (?:input|output|prompt|content)|data_inspection|inappropriate content|high risk"
    r"|guardrail|sensitive content|敏感|违规|不安全",
    re.I,
)
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|“[^”]*”|«[^»]*»")
"""Words of a prompt, which a refusal may quote."""
CUT = re.compile(
    r"output limit was reached|try again with (?:a )?higher max_\w*tokens"
    r"|max(?:imum)? (?:completion )?tokens reached before",
    re.I,
)
"""An answer that was cut at its limit, and refused for that."""
ABOUT_PARAMETERS = re.compile(r"\bparameters?\b|\barguments?\b|\bfeatures?\b|\bfields?\b", re.I)
"""A refusal that speaks of the request's parts, and names none."""
